"""How results look: the cleaner, figures, tables."""
