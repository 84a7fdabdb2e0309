"""What is known about people before looking: pose, joint limits, shape."""
