"""The way of a picture's bytes: spool, inspect, store."""
