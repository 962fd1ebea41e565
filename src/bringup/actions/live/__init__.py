"""What the live views show: one look after another at a running machine."""
