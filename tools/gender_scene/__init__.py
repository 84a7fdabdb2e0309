"""Rendered people of known gender: bodies, appearance, rooms, light and degradations of photos."""
