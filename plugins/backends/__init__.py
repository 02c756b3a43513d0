"""What models run on."""
