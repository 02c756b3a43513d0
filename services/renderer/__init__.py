"""Plays audio blocks through the equaliser and the effect chain, and never waits for a decision."""
