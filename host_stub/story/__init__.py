"""A story's takes: what there is of each scene, which one is shown, and what is wanted."""
