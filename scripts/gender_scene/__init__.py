"""Rendered people of known gender: bodies, looks, rooms, lights and a photo's faults."""
