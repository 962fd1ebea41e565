"""Faults of the layer: userspace."""
