"""Sinks: where sound goes."""
