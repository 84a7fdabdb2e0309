"""Words of messages."""

from __future__ import annotations


def count(number: int, one: str, many: str) -> str:
    """A number with its noun: ``1 person``, ``2,000 people``."""
    return f"{number:,} {one if number == 1 else many}"
