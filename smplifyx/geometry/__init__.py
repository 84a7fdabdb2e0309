"""Rotations and projection, thin over a rotation library."""
