"""One attempt at a picture: sent or drawn, taken in, and what it came to."""
