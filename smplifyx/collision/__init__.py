"""Self-collision: which triangles of a body pass through each other, and what that costs."""
