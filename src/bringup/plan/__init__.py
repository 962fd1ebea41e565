"""Arithmetic: what a model needs and what fits; no I/O."""
