"""What a plugin logs: checked, written to the journal, passed on, and counted again."""
