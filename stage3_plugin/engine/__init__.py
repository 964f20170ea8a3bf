"""The run: what is built, who goes next, and how each scene ends."""
