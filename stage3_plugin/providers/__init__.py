"""Paid providers over HTTP: each a profile and two pure functions, one file each."""
