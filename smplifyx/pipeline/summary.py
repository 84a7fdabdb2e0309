"""The table of a run while it grows: rows are appended in pieces; a damaged or lost one is made from the results."""

from __future__ import annotations

import time
from collections.abc import Iterable

from smplifyx.errors import InputError, reason
from smplifyx.files import output_to
from smplifyx.output import OutputLayout, SummaryRow, append_summary, compact_summary, complete_summary
from smplifyx.pipeline.units import Failure
from smplifyx.words import count

#: Rows that are appended together, and seconds after which fewer are.
_ROWS, _SECONDS = 64, 2.0


class SummaryTable:
    """The table of an output folder.

    Args:
        layout: of the folder; rows of results that the table lacks are added.

    Raises:
        OutputError: the disk is full.
    """

    def __init__(self, layout: OutputLayout) -> None:
        self._path = layout.summary_path
        #: Problems with the table; the results are not affected.
        self.problems: list[Failure] = []
        with output_to(self._path):
            _, self.restored = complete_summary(layout)
        self._rows: list[SummaryRow] = []
        self._written = time.monotonic()

    def add(self, rows: Iterable[SummaryRow]) -> None:
        """Append rows, some at a time."""
        self._rows.extend(rows)
        if len(self._rows) >= _ROWS or time.monotonic() - self._written > _SECONDS:
            self._append()

    def close(self) -> None:
        """Append the rest, and sort the table."""
        self._append()
        try:
            with output_to(self._path):
                compact_summary(self._path)
        except (InputError, OSError) as error:
            self.problems.append(Failure(str(self._path), f"is not sorted: {reason(error)}"))

    def _append(self) -> None:
        rows, self._rows, self._written = self._rows, [], time.monotonic()
        if not rows:
            return
        try:
            with output_to(self._path):
                append_summary(self._path, rows)
        except (InputError, OSError) as error:
            self.problems.append(
                Failure(str(self._path), f"{count(len(rows), 'row is', 'rows are')} not added: {reason(error)}")
            )
