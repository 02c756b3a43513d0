"""Forwards every event to whoever asked for it, and mirrors all of them to the tap."""
