"""The values that all packages share, and the rules that are part of them."""
