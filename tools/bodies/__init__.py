"""Builders of the open bodies that ship with the package."""
