"""A fault's steps: shown, taken one at a time, judged."""
