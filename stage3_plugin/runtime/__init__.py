"""What all rooms share of the running process: clock, interrupt, masked secrets, system errors."""
