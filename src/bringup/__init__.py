"""Bring up a local LLM on your own machine, and know why when it won't."""

__version__ = "0.1.0"
