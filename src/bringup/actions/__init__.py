"""One function per user intention; they compose all parts and print nothing."""
