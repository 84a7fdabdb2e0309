"""Progress of a long run: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType

from tqdm import tqdm

from smplifyx.cli import messages

#: Seconds between lines where no bar is shown, and between updates of a bar.
_INTERVAL, _REFRESH = 30.0, 1.0


class Progress:
    """Show photos that are done, people a second, the time left and failures.

    Args:
        n_photos: photos of the run.
        n_skipped: tells the number of photos so far that were finished before the run.
        is_shown: whether anything is shown at all.
    """

    def __init__(self, n_photos: int, n_skipped: Callable[[], int] = lambda: 0, is_shown: bool = True) -> None:
        self._n_photos, self._n_skipped = n_photos, n_skipped
        self._bar = tqdm(total=n_photos, unit="photo", smoothing=0.05, disable=not (is_shown and sys.stderr.isatty()))
        self._started = time.monotonic()
        self._n_done = self._n_people = self._n_failures = self._n_detected = 0
        self._is_shown = is_shown
        self._ending, self._updating = threading.Event(), threading.Lock()
        # Of its own, since nothing comes back for long while photos are skipped or a large batch is fitted.
        self._timer = threading.Thread(target=self._tell_time_and_again, name="smplifyx-progress", daemon=True)

    def __enter__(self) -> Progress:
        if self._is_shown:
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        if self._is_shown:
            self._timer.join()
        self._bar.close()

    def add(self, n_people: int, n_failures: int) -> None:
        """Count a photo that has just been finished.

        Args:
            n_people: people fitted in it.
            n_failures: failures in it.
        """
        self._n_done += 1
        self._n_people += n_people
        self._n_failures += n_failures
        self._update_bar()

    def add_detected(self) -> None:
        """Count a photo in which people have been detected ahead of the fits."""
        self._n_detected += 1
        self._update_bar()

    def _tell_time_and_again(self) -> None:
        while not self._ending.wait(_INTERVAL if self._bar.disable else _REFRESH):
            if self._bar.disable:
                messages.note(self.line())
            else:
                self._update_bar()

    def _update_bar(self) -> None:
        if self._bar.disable:
            return
        failures = f", {self._n_failures} failed" if self._n_failures else ""
        detected = f"{self._n_detected:,} detected, " if self._n_detected else ""
        with self._updating:
            self._bar.set_postfix_str(
                f"{detected}{self._n_people / self._seconds:.1f} people/s{failures}", refresh=False
            )
            self._bar.update(self._n_done + self._n_skipped() - self._bar.n)

    @property
    def _seconds(self) -> float:
        return max(time.monotonic() - self._started, 1e-9)

    def line(self) -> str:
        """The state in a line."""
        seconds, n_over = self._seconds, self._n_done + self._n_skipped()
        left = self._n_photos - n_over
        time_left = messages.duration(left * seconds / self._n_done) if self._n_done else "unknown time"
        detected = f"people detected in {self._n_detected:,}, " if self._n_detected else ""
        people = messages.count(self._n_people, "person", "people")
        failures = messages.count(self._n_failures, "failure", "failures")
        return (
            f"{n_over:,} of {self._n_photos:,} photos, {detected}{people} fitted, "
            f"{self._n_people / seconds:.2f} people/s, {time_left} left, {failures}"
        )
