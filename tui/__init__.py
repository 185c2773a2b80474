"""Shows a session in a terminal and takes keys. Imports engine; nothing imports tui."""
