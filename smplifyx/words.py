"""Numbers in the words of messages."""

from __future__ import annotations


def count(number: int, one: str, many: str) -> str:
    """A number with its noun: ``1 person``, ``2,000 people``."""
    return f"{number:,} {one if number == 1 else many}"


def duration(seconds: float) -> str:
    """A time in a suitable unit: ``45 s``, ``12 min``, ``3.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def size(n_bytes: int) -> str:
    """A number of bytes in a suitable unit: ``850 kB``, ``12.3 MB``."""
    if n_bytes < 1e6:
        return f"{n_bytes / 1e3:.0f} kB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:.2f} GB"
