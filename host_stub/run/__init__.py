"""One run: planned, carried out, shown, and ended with a manifest and an exit code."""
