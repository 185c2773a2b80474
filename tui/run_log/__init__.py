"""The output of a training run, of any length and content, made fit for a screen."""
