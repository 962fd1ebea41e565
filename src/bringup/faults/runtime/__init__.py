"""Faults of the layer: runtime."""
