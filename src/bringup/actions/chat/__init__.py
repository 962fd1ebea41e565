"""A talk with a model, and what it is really sent."""
