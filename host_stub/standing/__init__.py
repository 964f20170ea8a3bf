"""How each scene of a story stands: what it has, what it lacks, and what that costs."""
