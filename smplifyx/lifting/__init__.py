"""Depth of the body joints from their keypoints, learned from motion capture."""
