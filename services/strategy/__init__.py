"""Runs the chosen EQ strategy, bounds what it wants and says why."""
