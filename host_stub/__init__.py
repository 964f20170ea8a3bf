"""A small host for media pipelines: it loads one image plugin by name and feeds it scenes."""
