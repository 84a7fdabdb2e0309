"""Self-collision: search for intersecting triangles of a body, and their energy."""
