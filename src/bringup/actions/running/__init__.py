"""An engine started from a plan, watched and recorded to its end."""
