"""The commands below `bringup log`, one module each."""
