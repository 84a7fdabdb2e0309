"""Gender decisions of a run: reads the user's table and the classifiers, and prints what was decided."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Sequence

import torch
from tqdm import tqdm

from smplifyx.body.search import find_body_model
from smplifyx.cli import messages
from smplifyx.cli.messages import required_file
from smplifyx.config import BodyConfig, Config
from smplifyx.errors import InputError
from smplifyx.gender import CLASSES, GenderDecision, Voter, given, load_voters, read_labels
from smplifyx.gender import choose_genders as _choose_genders
from smplifyx.keypoints import Observation


def choose_genders(
    people: Sequence[Observation], config: Config, device: torch.device, verbose: bool = False
) -> list[GenderDecision]:
    """Return one decision per person, in their order.

    Args:
        people: the people of the run.
        config: ``body.gender`` other than auto applies to all of them; MANO has one gender only.
        device: of the classifiers.
        verbose: print each decision instead of counts.

    Raises:
        UsageError: the table of labels or a classifier is unusable.
    """
    if config.body.model == "mano" or config.body.gender != "auto":
        return [given("neutral" if config.body.model == "mano" else config.body.gender)] * len(people)
    gender = config.gender
    labels = None if gender.labels is None else required_file(read_labels, gender.labels)

    def voters() -> list[Voter]:
        return [] if gender.classifier == "none" else load_voters(gender.classifier, gender.threshold, device)

    with tqdm(unit="person", desc="gender", leave=False, disable=not sys.stderr.isatty()) as bar:
        decisions = required_file(
            _choose_genders,
            people,
            labels,
            None if gender.classifier == "none" else voters,
            [name for name in CLASSES if _has_body(name, config.body)],
            bar.update,
        )
    _print_decisions(people, decisions, verbose)
    return decisions


def _has_body(gender: str, config: BodyConfig) -> bool:
    try:
        find_body_model(config.model, gender, config.models_dir)
    except InputError:
        return False
    return True


def note_unmatched_labels(config: Config, photos: Collection[str]) -> None:
    """Print the number of labels in the user's table that match no photo.

    Args:
        config: nothing is printed without a table, or if it is not used.
        photos: names of all photos, without suffixes.

    Raises:
        UsageError: the table of labels is unusable.
    """
    path = config.gender.labels
    if path is None or config.body.gender != "auto" or config.body.model == "mano":
        return
    stems = [stem for stem, _ in required_file(read_labels, path).by_person]
    unmatched = [stem for stem in stems if stem not in photos]
    if unmatched:
        messages.note(f"{path}: {len(unmatched)} of {len(stems)} labels match no photo, such as {unmatched[0]!r}")


def _print_decisions(people: Sequence[Observation], decisions: Sequence[GenderDecision], verbose: bool) -> None:
    if verbose:
        for one, decision in zip(people, decisions, strict=True):
            why = f" ({decision.reason})" if decision.reason else ""
            messages.note(f"{one.name}: {decision.gender}, {decision.source}{why}")
        return
    outcomes = Counter(
        f"{one.gender} ({one.reason_without_figures})" if one.reason else f"{one.gender} by {one.source}"
        for one in decisions
        if one.source != "given"
    )
    if outcomes:
        messages.note("gender: " + ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common()))
