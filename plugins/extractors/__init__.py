"""What models hear."""
