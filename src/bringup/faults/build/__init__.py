"""Faults of the layer: build."""
