"""The five panes of the screen. Each is given a View and shows its part of it."""
