"""The people, clothes and room of the demo's pictures."""
