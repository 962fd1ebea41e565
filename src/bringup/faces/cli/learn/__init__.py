"""The commands below `bringup learn`, one module each."""
