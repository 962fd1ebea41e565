"""Look at a machine, or at text, and judge what is seen."""
