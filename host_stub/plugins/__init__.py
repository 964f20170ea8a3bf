"""Plugins: found by metadata, imported, checked, and the one that was chosen."""
