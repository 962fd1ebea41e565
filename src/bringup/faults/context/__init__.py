"""Faults of the layer: context."""
