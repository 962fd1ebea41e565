"""Faults of the layer: toolkit."""
