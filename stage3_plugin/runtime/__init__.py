"""What all packages share of the process: clock, interrupt, masked secrets, system errors."""
