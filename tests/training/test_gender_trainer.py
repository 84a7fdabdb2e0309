"""A small classifier learns to tell red from blue people, and goes on where it was stopped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from smplifyx.errors import InputError
from smplifyx.gender import CropRules, NetworkClassifier, save_checkpoint
from smplifyx.training.gender_config import (
    GenderArchitecture,
    GenderForeign,
    GenderRun,
    GenderTraining,
    GenderVerdict,
)
from smplifyx.training.gender_foreign import load_foreign
from smplifyx.training.gender_people import load_cut_outs, read_manifest, split_by_source
from smplifyx.training.gender_report import plot_history, plot_reliability, report
from smplifyx.training.gender_trainer import GenderTrainer, balanced_order
from tests.training.gender_photos import make_foreign, make_photos

CONFIG = GenderTraining(
    architecture=GenderArchitecture(width=4, side=32), run=GenderRun(epochs=3, batch_size=8, learning_rate=3e-3)
)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    torch.set_num_threads(1)
    people = read_manifest(make_photos(tmp_path_factory.mktemp("people"), 40)).people
    return split_by_source(people, 0.2, 0.2, 0)


@pytest.fixture(scope="module")
def parts(split):
    return tuple(load_cut_outs(people, 32, CropRules()) for people in (split.training, split.validation))


@pytest.fixture(scope="module")
def trained(parts):
    trainer = GenderTrainer(*parts, CONFIG)
    *_, history = trainer.epochs()
    assert trainer.finished
    assert len(history.training) == len(history.validation) == 3
    return trainer


def test_it_learns(trained, split, tmp_path):
    assert trained.history.accuracy[trained.history.best_epoch] > 0.9
    classifier = NetworkClassifier(trained.checkpoint("colours"))
    outcome = report(split.test, classifier, replace(classifier.rule, threshold=0.5, foreign_limit=None))
    assert outcome.shares.correct > 0.9
    assert outcome.counts["male"]["male"] + outcome.counts["female"]["female"] == round(
        outcome.shares.correct * len(split.test)
    )
    lines = "\n".join(outcome.lines())
    assert "62.38% correct, 7.54% wrong, 30.08% neutral" in lines
    plot_reliability(outcome, tmp_path / "reliability.png")
    plot_history(trained.history, tmp_path / "curves.png")
    assert min(path.stat().st_size for path in tmp_path.iterdir()) > 10_000


def test_noise_is_foreign(trained, split):
    """Most of the held-out people are familiar; pictures of nothing are not."""
    classifier = NetworkClassifier(trained.checkpoint("colours"))
    outcome = report(split.test, classifier)
    assert (outcome.foreignness <= classifier.rule.foreign_limit).mean() > 0.8
    noise = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    assert (classifier.classify(noise).foreignness > classifier.rule.foreign_limit).all()


@pytest.fixture(scope="module")
def wary(parts, split, tmp_path_factory):
    """A trainer that learns, too, that dark striped photos are foreign."""
    folder = make_foreign(tmp_path_factory.mktemp("foreign"), 20)
    foreign = GenderForeign(str(folder), crops=200, share=0.5)
    config = replace(CONFIG, foreign=foreign, run=replace(CONFIG.run, epochs=6))
    photos = [person.observation.image_path for person in split.training]
    foreign = load_foreign(config.foreign, photos, 32, 0)
    trainer = GenderTrainer(*parts, config, foreign)
    list(trainer.epochs())
    return trainer, foreign


def test_foreign_photos_are_told_from_people(wary, split):
    trainer, foreign = wary
    classifier = NetworkClassifier(trainer.checkpoint("colours"))
    limit = classifier.rule.foreign_probability_limit
    answers = classifier.classify(np.stack([one.plain for one in foreign.held_out]))
    assert (answers.foreign_probability > limit).mean() >= 0.95
    outcome = report(split.test, classifier, replace(classifier.rule, threshold=0.5, foreign_limit=None))
    assert (outcome.foreign_probability <= limit).mean() > 0.9
    assert outcome.shares.correct > 0.8
    own = classifier.classify(np.stack([one.plain for one in foreign.familiar])).foreign_probability
    # Not all, as a rectangle of nothing but noise or cloth says little.
    assert (own <= limit).mean() > 0.6


def test_without_foreign_photos_nothing_is_said_about_them(trained):
    checkpoint = trained.checkpoint("colours")
    assert checkpoint.network.foreign is None and checkpoint.settings.foreign_probability_limit is None


def test_the_share_of_passed_foreign_photos_decides_the_limit(wary, parts, tmp_path):
    trainer, foreign = wary
    trainer.save(tmp_path / "state.pt")
    again = GenderTrainer(*parts, replace(trainer.config, verdict=GenderVerdict(foreign_passed=0.5)), foreign)
    again.resume(tmp_path / "state.pt")
    classifier = NetworkClassifier(again.checkpoint(""))
    pictures = np.stack([one.plain for one in foreign.held_out])
    passed = classifier.classify(pictures).foreign_probability <= classifier.rule.foreign_probability_limit
    assert 0.3 < passed.mean() <= 0.5


def test_threshold_and_limit_can_be_set(trained, parts, tmp_path):
    trained.save(tmp_path / "state.pt")
    other = replace(CONFIG, verdict=GenderVerdict(threshold=0.97, foreign_limit=1.5))
    again = GenderTrainer(*parts, other)
    again.resume(tmp_path / "state.pt")
    settings = again.checkpoint("colours").settings
    assert (settings.threshold, settings.foreign_limit) == (0.97, 1.5)
    assert settings.temperature == trained.checkpoint("colours").settings.temperature


def test_a_stopped_run_goes_on_to_the_same_end(trained, parts, tmp_path):
    first = GenderTrainer(*parts, CONFIG)
    next(first.epochs())
    first.save(tmp_path / "state.pt")
    second = GenderTrainer(*parts, CONFIG)
    second.resume(tmp_path / "state.pt")
    list(second.epochs())
    assert second.history == trained.history
    for name, value in trained.best.items():
        torch.testing.assert_close(second.best[name], value)


def test_other_runs_are_refused(trained, parts, tmp_path):
    path = tmp_path / "state.pt"
    trained.save(path)
    with pytest.raises(InputError, match="other settings: run"):
        GenderTrainer(*parts, replace(CONFIG, run=replace(CONFIG.run, seed=1))).resume(path)
    fewer = replace(parts[0], labels=parts[0].labels[:-1], pictures=parts[0].pictures[:-1])
    with pytest.raises(InputError, match="other people"):
        GenderTrainer(fewer, parts[1], CONFIG).resume(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="cannot go on"):
        GenderTrainer(*parts, CONFIG).resume(path)


def test_initial_weights_are_taken(trained, parts, tmp_path):
    path = tmp_path / "start.safetensors"
    save_checkpoint(path, trained.checkpoint(""))
    config = replace(CONFIG, architecture=replace(CONFIG.architecture, initial_weights=str(path)))
    started = GenderTrainer(*parts, config).network.state_dict()
    torch.testing.assert_close(
        started["layer3.0.conv1.weight"], trained.best["layer3.0.conv1.weight"], atol=1e-3, rtol=1e-3
    )


def test_everybody_of_the_larger_class_is_shown_once_and_both_equally_often():
    labels = np.array([0] * 7 + [1] * 3)
    order = balanced_order(labels, np.random.default_rng(0))
    shown = np.bincount(order, minlength=10)
    assert (shown[:7] == 1).all()
    assert shown[7:].sum() == 7 and shown[7:].min() >= 2
    assert (labels[order] == np.tile([0, 1], 7)).all()
