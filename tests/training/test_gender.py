"""Short training runs of the gender classifier on red and blue people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smplifyx.errors import InputError
from smplifyx.gender import BodyVoter, CropRules, NetworkClassifier, save_checkpoint
from smplifyx.training.gender import balanced_order, gender_trainer
from smplifyx.training.gender_people import load_cut_outs, read_manifest, split_by_source
from smplifyx.training.gender_pictures import load_out_of_distribution
from smplifyx.training.gender_report import plot_reliability, report_votes
from smplifyx.training.settings import (
    GenderArchitecture,
    GenderRun,
    GenderTraining,
    GenderVerdict,
    OutOfDistribution,
)
from tests.training.gender_photos import make_out_of_distribution, make_photos

CONFIG = GenderTraining(
    architecture=GenderArchitecture(width=16, side=32), run=GenderRun(epochs=3, batch_size=8, learning_rate=3e-3)
)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    people = read_manifest(make_photos(tmp_path_factory.mktemp("people"), 40)).people
    return split_by_source(people, 0.2, 0.2, 0)


@pytest.fixture(scope="module")
def parts(split):
    return tuple(load_cut_outs(people, 32, CropRules()) for people in (split.training, split.validation))


@pytest.fixture(scope="module")
def trained(parts):
    trainer = gender_trainer(*parts, CONFIG)
    *_, history = trainer.epochs()
    assert trainer.finished
    assert len(history["training"]) == len(history["validation"]) == 3
    return trainer


def checkpoint(trainer):
    return trainer.task.checkpoint(trainer.best_network(), "colours")


def test_it_learns(trained, split, tmp_path):
    assert trained.history["accuracy"][trained.best_epoch] > 0.8
    classifier = NetworkClassifier(checkpoint(trained))
    voter = BodyVoter(classifier, replace(classifier.rule, threshold=0.5, distance_limit=None))
    (outcome,) = report_votes(split.test, [voter])
    assert outcome.shares.correct > 0.75
    assert outcome.counts["male"]["male"] + outcome.counts["female"]["female"] == round(
        outcome.shares.correct * len(split.test)
    )
    lines = "\n".join(outcome.lines())
    assert "62.38% correct, 7.54% wrong, 30.08% neutral" in lines
    pytest.importorskip("matplotlib", reason="matplotlib, of the extra `train`, is not installed")
    plot_reliability(outcome, tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").stat().st_size > 10_000


def test_noise_is_out_of_distribution(trained, split):
    """Most of the held-out people are in distribution; noise is not."""
    classifier = NetworkClassifier(checkpoint(trained))
    (outcome,) = report_votes(split.test, [BodyVoter(classifier)])
    assert (outcome.distance <= classifier.rule.distance_limit).mean() > 0.6
    noise = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    assert (classifier.classify(noise).distance > classifier.rule.distance_limit).mean() > 0.8


@pytest.fixture(scope="module")
def with_outliers(parts, split, tmp_path_factory):
    """A trainer that also learns that dark striped photos are out of distribution."""
    folder = make_out_of_distribution(tmp_path_factory.mktemp("outliers"), 20)
    options = OutOfDistribution(folder, crops=200, share=0.5)
    config = replace(CONFIG, out_of_distribution=options, run=replace(CONFIG.run, epochs=6))
    photos = [person.observation.image_file for person in split.training]
    outliers = load_out_of_distribution(options, photos, 32, 0)
    trainer = gender_trainer(*parts, config, outliers)
    list(trainer.epochs())
    return trainer, outliers


def test_out_of_distribution_photos_are_recognised(with_outliers, split):
    trainer, outliers = with_outliers
    classifier = NetworkClassifier(checkpoint(trainer))
    limit = classifier.rule.out_of_distribution_limit
    outputs = classifier.classify(np.stack([one.plain for one in outliers.held_out]))
    assert (outputs.out_of_distribution > limit).mean() >= 0.95
    voter = BodyVoter(classifier, replace(classifier.rule, threshold=0.5, distance_limit=None))
    (outcome,) = report_votes(split.test, [voter])
    assert (outcome.out_of_distribution <= limit).mean() > 0.7
    assert outcome.shares.correct > 0.7
    own = classifier.classify(np.stack([one.plain for one in outliers.in_distribution])).out_of_distribution
    # Not all, as a rectangle of nothing but noise or cloth says little.
    assert (own <= limit).mean() > 0.4


def test_without_such_photos_the_network_has_no_such_output(trained):
    plain = checkpoint(trained)
    assert plain.network.out_of_distribution is None and plain.settings.out_of_distribution_limit is None


def test_the_accepted_share_decides_the_limit(with_outliers, parts, tmp_path):
    trainer, outliers = with_outliers
    trainer.save(tmp_path / "state.pt")
    again = gender_trainer(
        *parts, replace(trainer.config, verdict=GenderVerdict(out_of_distribution_accepted=0.5)), outliers
    )
    again.resume(tmp_path / "state.pt")
    classifier = NetworkClassifier(checkpoint(again))
    pictures = np.stack([one.plain for one in outliers.held_out])
    passed = classifier.classify(pictures).out_of_distribution <= classifier.rule.out_of_distribution_limit
    assert 0.3 < passed.mean() <= 0.5


def test_threshold_and_limit_can_be_set(trained, parts, tmp_path):
    trained.save(tmp_path / "state.pt")
    other = replace(CONFIG, verdict=GenderVerdict(threshold=0.97, distance_limit=1.5))
    again = gender_trainer(*parts, other)
    again.resume(tmp_path / "state.pt")
    settings = checkpoint(again).settings
    assert (settings.threshold, settings.distance_limit) == (0.97, 1.5)
    assert settings.temperature == checkpoint(trained).settings.temperature


def test_a_resumed_run_ends_like_one_without_a_stop(trained, parts, tmp_path):
    first = gender_trainer(*parts, CONFIG)
    next(first.epochs())
    first.save(tmp_path / "state.pt")
    second = gender_trainer(*parts, CONFIG)
    second.resume(tmp_path / "state.pt")
    list(second.epochs())
    np.testing.assert_allclose(second.history["validation"], trained.history["validation"], rtol=1e-3)


def test_other_runs_are_refused(trained, parts, tmp_path):
    path = tmp_path / "state.pt"
    trained.save(path)
    with pytest.raises(InputError, match="other settings: run"):
        gender_trainer(*parts, replace(CONFIG, run=replace(CONFIG.run, seed=1))).resume(path)
    fewer = replace(parts[0], labels=parts[0].labels[:-1], pictures=parts[0].pictures[:-1])
    with pytest.raises(InputError, match="other data"):
        gender_trainer(fewer, parts[1], CONFIG).resume(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot be resumed"):
        gender_trainer(*parts, CONFIG).resume(path)


def test_initial_weights_are_taken(trained, parts, tmp_path):
    path = tmp_path / "start.safetensors"
    save_checkpoint(path, checkpoint(trained))
    config = replace(CONFIG, architecture=replace(CONFIG.architecture, initial_weights=path))
    started = gender_trainer(*parts, config).task.network.state_dict()
    torch.testing.assert_close(
        started["layer3.0.conv1.weight"],
        trained.best_network().state_dict()["layer3.0.conv1.weight"],
        atol=1e-3,
        rtol=1e-3,
    )


def test_the_larger_class_is_shown_once_and_both_equally_often():
    labels = np.array([0] * 7 + [1] * 3)
    order = balanced_order(labels, np.random.default_rng(0))
    shown = np.bincount(order, minlength=10)
    assert (shown[:7] == 1).all()
    assert shown[7:].sum() == 7 and shown[7:].min() >= 2
    assert (labels[order] == np.tile([0, 1], 7)).all()
