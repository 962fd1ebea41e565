"""The one door to the outside: eyes (looking, recordable) and hands (writing, starting, connecting)."""
