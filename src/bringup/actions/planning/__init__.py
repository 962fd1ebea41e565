"""What fits where, how fast, and with which command: a plan for this machine or another."""
