"""Turns a source into audio blocks with sample position and capture time."""
