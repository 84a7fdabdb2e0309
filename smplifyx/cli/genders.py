"""Chooses male, female or neutral bodies for the people of a run: labels first, then the classifier, then neutral."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import torch
from tqdm import tqdm

from smplifyx.body.search import find_body_model
from smplifyx.cli import messages
from smplifyx.cli.messages import required_file
from smplifyx.config import BodyConfig, Config, GenderConfig
from smplifyx.errors import InputError
from smplifyx.gender import (
    CLASSES,
    GenderClassifier,
    GenderDecision,
    GenderLabels,
    NetworkClassifier,
    OnnxClassifier,
    ask_about,
    decide,
    fallback,
    given,
    load_checkpoint,
    read_labels,
    shipped_checkpoint,
)
from smplifyx.keypoints import Observation


def choose_genders(
    people: Sequence[Observation], config: Config, device: torch.device, verbose: bool = False
) -> list[GenderDecision]:
    """Choose the gender of each person's body model.

    Args:
        people: the people to fit.
        config: ``body.gender`` other than auto sets it for all people; MANO has only a neutral model.
        device: where the classifier runs.
        verbose: name each decision.

    Returns:
        One decision per person, in their order.

    Raises:
        UsageError: the table of labels or the classifier is unusable.
    """
    if config.body.model == "mano":
        return [given("neutral")] * len(people)
    if config.body.gender != "auto":
        return [given(config.body.gender)] * len(people)
    labels = GenderLabels({}) if config.gender.labels is None else required_file(read_labels, config.gender.labels)
    named = [labels.of(one.stem, one.person_index) or one.gender for one in people]
    unnamed = [one for one, label in zip(people, named, strict=True) if label is None]
    if config.gender.classifier != "none":
        classified = iter(_classified(unnamed, config, device))
    else:
        classified = iter([fallback("no label, and the classifier is off")] * len(unnamed))
    decisions = [next(classified) if label is None else given(label) for label in named]
    _note(people, decisions, verbose)
    return decisions


def note_unmatched_labels(config: Config, photos: Collection[str]) -> None:
    """Print how many labels of the table match no photo; nothing where no table is used.

    Args:
        config: the settings.
        photos: names of all photos, without ending.

    Raises:
        UsageError: the table of labels is unusable.
    """
    path = config.gender.labels
    if path is None or config.body.gender != "auto" or config.body.model == "mano":
        return
    named = [stem for stem, _ in required_file(read_labels, path).by_person]
    unmatched = [stem for stem in named if stem not in photos]
    if unmatched:
        messages.note(f"{path}: {len(unmatched)} of {len(named)} labels match no photo, such as {unmatched[0]!r}")


def _classified(people: Sequence[Observation], config: Config, device: torch.device) -> list[GenderDecision]:
    if not people:
        return []
    classifier = required_file(_classifier, config.gender, device)
    rule = classifier.rule
    if config.gender.threshold is not None:
        rule = replace(rule, threshold=config.gender.threshold)
    with tqdm(total=len(people), unit="person", desc="gender", leave=False, disable=not sys.stderr.isatty()) as bar:
        decisions = decide(ask_about(people, classifier, bar.update), rule)
    missing = [gender for gender in CLASSES if not _has_body(gender, config.body)]
    return [
        replace(one, gender="neutral", source="fallback", reason=f"no {one.gender} body model")
        if one.gender in missing
        else one
        for one in decisions
    ]


def _classifier(config: GenderConfig, device: torch.device) -> GenderClassifier:
    path = config.classifier
    if isinstance(path, str):  # auto
        path = shipped_checkpoint()
    if path.suffix.lower() == ".onnx":
        return OnnxClassifier(path)
    return NetworkClassifier(load_checkpoint(path), device)


def _has_body(gender: str, config: BodyConfig) -> bool:
    try:
        find_body_model(config.model, gender, config.models_dir)
    except InputError:
        return False
    return True


def _note(people: Sequence[Observation], decisions: Sequence[GenderDecision], verbose: bool) -> None:
    """Print counts of decisions without a label, or all decisions if verbose."""
    if verbose:
        for one, decision in zip(people, decisions, strict=True):
            why = f" ({decision.reason})" if decision.reason else ""
            messages.note(f"{one.name}: {decision.gender}, {decision.source}{why}")
        return
    outcomes = Counter(
        f"{one.gender} ({one.reason.split(':')[0]})" if one.reason else one.gender
        for one in decisions
        if one.source != "given"
    )
    if outcomes:
        messages.note("gender: " + ", ".join(f"{number} {outcome}" for outcome, number in outcomes.most_common()))
