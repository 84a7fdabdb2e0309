"""Progress of a long run: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from tqdm import tqdm

from smplifyx.cli import messages

#: Seconds between lines where no bar is shown.
_INTERVAL = 30.0


class Progress:
    """Show photos that are done, people a second, the time left and failures.

    Args:
        n_photos: photos of the run.
    """

    def __init__(self, n_photos: int) -> None:
        self._n_photos = n_photos
        self._bar = tqdm(total=n_photos, unit="photo", smoothing=0.05, disable=not sys.stderr.isatty())
        self._started = self._last = time.monotonic()
        self._n_done = self._n_skipped = self._n_people = self._n_failures = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def show(self, n_photos: int, n_people: int, n_failures: int, n_skipped: int) -> None:
        """Count what is done.

        Args:
            n_photos: photos that have just been finished.
            n_people: people fitted in them.
            n_failures: failures in them.
            n_skipped: photos that were finished before the run, in all so far.
        """
        self._n_done += n_photos
        self._n_people += n_people
        self._n_failures += n_failures
        self._bar.update(n_photos + n_skipped - self._n_skipped)
        self._n_skipped = n_skipped
        now = time.monotonic()
        if not self._bar.disable:
            seconds = max(now - self._started, 1e-9)
            failures = f", {self._n_failures} failed" if self._n_failures else ""
            self._bar.set_postfix_str(f"{self._n_people / seconds:.1f} people/s{failures}", refresh=False)
        elif now - self._last >= _INTERVAL:
            self._last = now
            messages.note(self._line(now - self._started))

    def _line(self, seconds: float) -> str:
        left = self._n_photos - self._n_skipped - self._n_done
        time_left = _duration(left * seconds / self._n_done) if self._n_done else "unknown time"
        return (
            f"{self._n_done + self._n_skipped:,} of {self._n_photos:,} photos, {self._n_people:,} people fitted, "
            f"{self._n_people / seconds:.2f} people/s, {time_left} left, {self._n_failures} failures"
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
