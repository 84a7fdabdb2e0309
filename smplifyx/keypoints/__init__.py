"""2D evidence: named layouts, readers, observations."""
