"""Faults of the layer: hardware."""
