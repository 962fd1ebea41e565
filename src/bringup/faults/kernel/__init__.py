"""Faults of the layer: kernel."""
