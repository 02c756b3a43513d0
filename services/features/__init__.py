"""Turns audio blocks into feature vectors and levels."""
