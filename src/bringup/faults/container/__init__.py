"""Faults of the layer: container."""
