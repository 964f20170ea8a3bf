"""Stage3: scenes in, pictures out, and the money accounted for."""
