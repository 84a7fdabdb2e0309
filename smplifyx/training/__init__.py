"""Learns priors from the user's own data."""
