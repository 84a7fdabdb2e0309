"""Metrics against known truth, and calibrated views."""
