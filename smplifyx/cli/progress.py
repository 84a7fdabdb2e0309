"""Progress of a long run: a bar on a terminal, a line every half minute elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType

from tqdm import tqdm

from smplifyx.cli import messages

#: Seconds between lines where no bar is shown, and between updates of a bar.
_INTERVAL, _REFRESH = 30.0, 1.0
#: The bar without tqdm's estimate of the time left, which knows no clips.
_BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} photos [{elapsed}{postfix}]"


@dataclass
class _Clip:
    """A clip in work: its photos are finished within a short time after a long fit.

    Attributes:
        end: photos of the run that are over after it, with skipped ones.
        started: when it was begun, in seconds of the run.
        n_before: photos finished before it.
        first: when its first photo was finished; None before.
    """

    end: int
    started: float
    n_before: int
    first: float | None = None

    def time_left(self, n_left: int, n_photos: int, now: float, n_done: int) -> float | None:
        """Seconds to the end of the run; None where nothing tells them.

        Args:
            n_left, n_done: photos to do, and finished.
            n_photos: all of the run.
            now: seconds of the run.
        """
        n_written = n_done - self.n_before
        if self.first is None or n_written < 2:
            if not self.n_before:
                return None
            return max(0.0, self.started / self.n_before * n_left - (now - self.started))
        n_later = n_photos - self.end
        n_here = n_left - n_later
        here = n_here * (now - self.first) / (n_written - 1)
        return here + n_later * (now + here) / (n_done + n_here)


class Progress:
    """Show photos that are done, people a second, the time left and failures.

    Args:
        n_photos: photos of the run.
        n_skipped: tells the number of photos so far that were finished before the run.
        is_shown: whether anything is shown at all.
    """

    def __init__(self, n_photos: int, n_skipped: Callable[[], int] = lambda: 0, is_shown: bool = True) -> None:
        self._n_photos, self._n_skipped = n_photos, n_skipped
        self._bar = tqdm(total=n_photos, bar_format=_BAR, disable=not (is_shown and sys.stderr.isatty()))
        self._started = time.monotonic()
        self._n_done = self._n_people = self._n_failures = self._n_detected = 0
        self._is_shown = is_shown
        self._clip: _Clip | None = None
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

    def begin_clip(self, n_photos: int) -> None:
        """Expect the photos of a clip, which are finished one after the other when all are fitted."""
        self._clip = _Clip(self._n_done + self._n_skipped() + n_photos, self._seconds, self._n_done)

    def add(self, n_people: int, n_failures: int) -> None:
        """Count a photo that has just been finished.

        Args:
            n_people: people fitted in it.
            n_failures: failures in it.
        """
        self._n_done += 1
        self._n_people += n_people
        self._n_failures += n_failures
        if self._clip is not None and self._clip.first is None:
            self._clip.first = self._seconds
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
                f"{self._time_left()}, {detected}{self._n_people / self._seconds:.1f} people/s{failures}",
                refresh=False,
            )
            self._bar.update(self._n_done + self._n_skipped() - self._bar.n)

    @property
    def _seconds(self) -> float:
        return max(time.monotonic() - self._started, 1e-9)

    def _time_left(self) -> str:
        """The time left in words."""
        n_left = self._n_photos - self._n_done - self._n_skipped()
        if self._clip is not None:
            seconds = self._clip.time_left(n_left, self._n_photos, self._seconds, self._n_done)
        else:
            seconds = n_left * self._seconds / self._n_done if self._n_done else None
        return f"{'unknown time' if seconds is None else messages.duration(seconds)} left"

    def line(self) -> str:
        """The state in a line."""
        seconds, n_over = self._seconds, self._n_done + self._n_skipped()
        detected = f"people detected in {self._n_detected:,}, " if self._n_detected else ""
        people = messages.count(self._n_people, "person", "people")
        failures = messages.count(self._n_failures, "failure", "failures")
        return (
            f"{n_over:,} of {self._n_photos:,} photos, {detected}{people} fitted, "
            f"{self._n_people / seconds:.2f} people/s, {self._time_left()}, {failures}"
        )
