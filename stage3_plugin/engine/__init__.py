"""The run: how it is built, which scene goes next, and how each scene ends."""
