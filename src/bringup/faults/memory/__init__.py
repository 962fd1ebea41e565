"""Faults of the layer: memory."""
