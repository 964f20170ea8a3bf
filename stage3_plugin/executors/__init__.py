"""Where work runs: a job's bytes in, what it makes at a path; knows nothing of what it is."""
