"""Providers of pictures: each a profile and two pure functions, or a renderer on this machine."""
