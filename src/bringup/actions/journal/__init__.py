"""What is written down for later, and how it survives damage and sudden ends."""
