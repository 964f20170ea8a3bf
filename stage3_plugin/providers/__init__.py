"""Paid providers over HTTP, one file each: a profile and two pure functions."""
