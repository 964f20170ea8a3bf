"""What a provider's answer means: read, judged, and whether it was billed."""
