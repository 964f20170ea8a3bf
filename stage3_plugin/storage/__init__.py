"""Where received answers and pictures lie: spool, inspection, objects by content."""
