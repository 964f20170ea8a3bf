"""Decisions: pure functions of what is known; nothing here waits, reads or writes."""
