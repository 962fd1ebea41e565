"""Commands, loaded when they are called."""
