"""Stories written elsewhere, as scenes: Markdown, CSV, a mulmoscript, an OpenMontage scene plan."""
