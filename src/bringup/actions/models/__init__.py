"""Model files: fetched, listed, looked into."""
