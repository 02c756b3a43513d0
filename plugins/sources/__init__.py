"""Sources: where sound comes from."""
