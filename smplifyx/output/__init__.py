"""Results, meshes, overlays and summaries on disk."""
