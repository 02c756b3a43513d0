"""What the renderer may do besides the equaliser."""
