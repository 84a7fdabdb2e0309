"""Pictures of all the people of a photo, drawn once the last of them is fitted."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

from smplifyx.cli.person_writer import PersonWriter
from smplifyx.errors import InputError
from smplifyx.fitting.fitter import Fitter
from smplifyx.keypoints import Observation
from smplifyx.output import load_result

#: The fitter for people of a gender, or for hands of a side.
FitterOf = Callable[[str], Fitter]


class GroupOverlays:
    """Draws the overlay of all people of each photo that shows more than one.

    The bodies come from the result files, so that it does not matter which run fitted them.

    Args:
        everybody: all people of this run, those fitted earlier included.
        todo: those among them that this run fits.
        writer: writes the pictures; does nothing where no pictures are wanted.
        fitter_of: poses the bodies.
    """

    def __init__(
        self, everybody: Sequence[Observation], todo: Sequence[Observation], writer: PersonWriter, fitter_of: FitterOf
    ) -> None:
        self._people: dict[str, list[Observation]] = {}
        self._writer, self._fitter_of = writer, fitter_of
        for one in everybody if writer.renderer is not None else ():
            self._people.setdefault(one.stem, []).append(one)
        self._people = {stem: people for stem, people in self._people.items() if len(people) > 1}
        self._n_left = dict.fromkeys(self._people, 0)
        for one in todo:
            if one.stem in self._n_left:
                self._n_left[one.stem] += 1

    def draw_missing(self, stopping: Callable[[], bool] = lambda: False) -> list[str]:
        """Draw what a run that was stopped left undrawn, until ``stopping`` says so; returns the problems."""
        missing = (stem for stem, left in self._n_left.items() if not left and not self._writer.has_group(stem))
        return self._draw_all(itertools.takewhile(lambda _: not stopping(), missing))

    def finished(self, people: Iterable[Observation]) -> list[str]:
        """Draw the photos whose last person is among those just written; returns the problems."""
        complete = []
        for one in people:
            if one.stem in self._n_left:
                self._n_left[one.stem] -= 1
                if not self._n_left[one.stem]:
                    complete.append(one.stem)
        return self._draw_all(complete)

    def _draw_all(self, stems: Iterable[str]) -> list[str]:
        problems = []
        for stem in stems:
            try:
                self._draw(self._people[stem])
            except (InputError, OSError) as error:
                problems.append(f"{stem}, overlay of all people: {error}")
        return problems

    def _draw(self, people: Sequence[Observation]) -> None:
        paths = [(one, self._writer.layout.result_path(one.stem, one.person_index, one.side)) for one in people]
        results = [(one.person_index, load_result(path)) for one, path in paths if path.is_file()]
        bodies = [(person, result, self._fitter_of(result.side or result.gender)) for person, result in results]
        if len(bodies) > 1:
            self._writer.write_group(people[0], bodies)
