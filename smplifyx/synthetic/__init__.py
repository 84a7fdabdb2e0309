"""Synthetic people with known truth, and a simulated keypoint detector."""
