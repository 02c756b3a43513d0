"""Who decides what to do to the sound."""
