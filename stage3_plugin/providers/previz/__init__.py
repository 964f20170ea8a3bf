"""Draw storyboard frames on this machine, without a model and without cost."""
