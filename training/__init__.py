"""prepare.py and train.py: the template that is copied into a workspace. Stands alone."""
