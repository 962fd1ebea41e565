"""The log that writes itself: an append-only, chained record in one SQLite file."""
