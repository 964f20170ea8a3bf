"""An answer on its way to the disk and back: written as it arrives, read from its files."""
