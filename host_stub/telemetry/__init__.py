"""OpenTelemetry: runs, scenes and attempts as spans and metrics, for who names the observer."""
