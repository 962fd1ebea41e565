"""Facts about the machine, one file per layer; no opinions."""
