"""One gender for each track, by the votes of some of its frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import numpy as np
from numpy.typing import NDArray

from smplifyx.errors import InputError
from smplifyx.gender import GenderDecision
from smplifyx.gender.chooser import GenderChooser
from smplifyx.gender.decision import fallback
from smplifyx.keypoints import Observation
from smplifyx.skeleton import BODY_KEYPOINTS
from smplifyx.tracking import Track

#: Photos of a track that are classified.
_VOTES = 7
#: Share of the verdicts that a gender needs.
_MAJORITY = 2 / 3


def gender_of_track(
    track: Track, chooser: GenderChooser, read: Callable[[Observation], NDArray[np.uint8]]
) -> GenderDecision:
    """The gender of a track: a label if any of its photos has one, else the majority of verdicts, else neutral.

    Args:
        track: the person.
        chooser: decides about a photo.
        read: gives the photo of an observation without distortion, BGR `[H, W, 3]`.
    """
    observed = [one for row in track.observations for one in row if one is not None]
    labelled = [one for one in observed if chooser.label_of(one) is not None]
    chosen = labelled[:1] or _best(observed)
    decisions: list[GenderDecision] = []
    for one in chosen:
        with suppress(InputError):  # a photo that cannot be decoded has no vote
            decisions += chooser.choose([one], partial(read, one))
    return joint_vote(decisions) if decisions else fallback("no photo can be read")


def _best(observed: Sequence[Observation]) -> list[Observation]:
    """Observations with many keypoints, spread over the track: the best of each of some parts."""
    parts = np.array_split(np.arange(len(observed)), min(_VOTES, len(observed)))
    evidence = [float(one.keypoints[BODY_KEYPOINTS, 2].sum()) for one in observed]
    return [observed[max(part, key=lambda k: evidence[k])] for part in parts]


def joint_vote(decisions: Sequence[GenderDecision]) -> GenderDecision:
    """The decision of several photos of one person: that of two thirds of those with a verdict, else neutral."""
    verdicts = [one for one in decisions if one.source != "fallback"]
    counts = Counter(one.gender for one in verdicts)
    for gender, count in counts.most_common(1):
        if count >= _MAJORITY * len(verdicts):
            agreeing = [one for one in verdicts if one.gender == gender]
            return max(agreeing, key=lambda one: one.probability if np.isfinite(one.probability) else 2.0)
        return fallback(f"votes: {', '.join(f'{number} {name}' for name, number in counts.most_common())}")
    return decisions[0]
