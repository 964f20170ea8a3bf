"""Bytes out and in: one request, its answer, and every trouble between the two machines."""
