"""Runs the genre model and the EQ model, and multiplexes them on one accelerator."""
