"""Faults of the layer: model."""
