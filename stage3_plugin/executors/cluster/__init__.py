"""What stands between a run and a Ray cluster: one process, which is the cluster's driver."""
