"""The scene file: read, checked, and never held whole."""
