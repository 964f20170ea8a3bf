"""Renderers on this machine, as the stage sees them: free, no network, may run again."""
