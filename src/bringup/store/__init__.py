"""Getting models: names, catalogue, hub, transfer, and what is already on the disk."""
