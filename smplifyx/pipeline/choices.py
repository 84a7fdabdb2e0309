"""Choices about people that follow from the settings and the arguments of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from smplifyx.body.search import find_body_model
from smplifyx.config import Config, RunOptions
from smplifyx.errors import InputError, UsageError
from smplifyx.gender import CLASSES, GenderChooser, read_labels
from smplifyx.keypoints import KeypointOptions, Part, PersonSelection

if TYPE_CHECKING:
    import torch

#: The part of a person that a hand or head model fits.
_PARTS: Mapping[str, Part] = {"mano": "hands", "flame": "face"}


def gender_chooser(config: Config, device: torch.device | str) -> GenderChooser:
    """The chooser of the settings; raises UsageError for an unusable table of labels."""
    try:
        labels = None if config.gender.labels is None else read_labels(config.gender.labels)
        available = [name for name in CLASSES if _has_body(name, config)]
        return GenderChooser(config.gender, labels, available, device)
    except InputError as error:
        raise UsageError(str(error)) from error


def given_gender(config: Config) -> str | None:
    """The gender of all people, or None if it is decided for each person; MANO has one gender only."""
    if config.body.model == "mano":
        return "neutral"
    return None if config.body.gender == "auto" else config.body.gender


def _has_body(gender: str, config: Config) -> bool:
    try:
        find_body_model(config.body.model, gender, config.body.models_dir)
    except InputError:
        return False
    return True


def selection_of(config: Config) -> PersonSelection:
    """Choice of the people of a photo who are fitted."""
    people, part = config.people, _PARTS.get(config.body.model, "body")
    return PersonSelection(max_persons=people.max_persons, min_keypoints=people.min_keypoints, part=part)


def keypoint_options(run: RunOptions) -> KeypointOptions:
    """Options for reading keypoint files; our own detector reads photos upright."""
    frame = run.keypoint_frame if run.keypoints is not None else "upright"
    return KeypointOptions(run.layout, frame, run.keypoint_scale)
