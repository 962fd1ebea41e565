"""What happened on this machine: kept, told again, and compared with now."""
