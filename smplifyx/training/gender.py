"""Training of the gender classifier: balanced classes, augmented pictures, calibration on validation people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from smplifyx.errors import InputError
from smplifyx.gender import (
    CLASSES,
    BodyVoter,
    CropRules,
    FaceVoter,
    FeatureDistribution,
    GenderCheckpoint,
    GenderClassifier,
    GenderNetwork,
    GenderSettings,
    Voter,
    load_backbone,
    load_checkpoint,
    load_classifier,
    save_checkpoint,
    shipped_checkpoint,
)
from smplifyx.gender.network import normalized
from smplifyx.training.gender_people import (
    TRAINING_RULES,
    CutOut,
    CutOuts,
    LabelledPerson,
    load_cut_outs,
    read_manifest,
    split_by_source,
    write_manifest,
)
from smplifyx.training.gender_pictures import (
    Augmenter,
    OutOfDistributionPictures,
    load_out_of_distribution,
    out_of_distribution_loss,
)
from smplifyx.training.gender_report import (
    choose_out_of_distribution_limit,
    choose_threshold,
    class_weights,
    fit_temperature,
    plot_reliability,
    report_votes,
    tempered,
)
from smplifyx.training.settings import GenderTraining
from smplifyx.training.trainer import (
    Course,
    Monitor,
    Panel,
    Task,
    Trainer,
    can_plot,
    one_cycle,
    run_to_end,
    write_report,
)

_EVALUATION_BATCH = 64
_WARM_UP = 0.15


@dataclass(frozen=True)
class Evaluation:
    """Output of a network for N pictures: ``logits`` [N, 2] and ``features`` [N, F]."""

    logits: NDArray[np.float64]
    features: Tensor


def evaluate(network: GenderNetwork, pictures: Sequence[NDArray[np.uint8]]) -> Evaluation:
    """Run a network on pictures, in batches."""
    network.eval()
    features = []
    with torch.inference_mode():
        for first in range(0, len(pictures), _EVALUATION_BATCH):
            crops = np.stack(pictures[first : first + _EVALUATION_BATCH])
            features.append(network.features(normalized(torch.as_tensor(crops))))
        together = torch.cat(features)
        return Evaluation(network.logits(together).double().numpy(), together)


def balanced_order(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return indices with all people of the larger class in random order, alternating with people of the other.

    People of the smaller class are repeated as often as necessary.
    """
    classes = [rng.permutation(np.nonzero(labels == label)[0]) for label in (0, 1)]
    longest = max(map(len, classes))
    return np.stack([np.resize(one, longest) for one in classes], 1).ravel()


class GenderTask(Task):
    """The gender classifier with its people.

    Args:
        training, validation: the people.
        config: all settings.
        outliers: out-of-distribution pictures; None: the network does not learn to recognise them.

    Raises:
        InputError: the initial weights are unusable.
    """

    panels = (
        Panel("loss", {"training": "training, augmented", "validation": "validation, calibrated"}, (0, None)),
        Panel("accuracy, balanced classes", {"accuracy": "validation"}, (None, 1)),
    )
    network: GenderNetwork

    def __init__(
        self,
        training: CutOuts,
        validation: CutOuts,
        config: GenderTraining,
        outliers: OutOfDistributionPictures | None = None,
    ) -> None:
        run, architecture = config.run, config.architecture
        torch.manual_seed(run.seed)
        self._config = config
        self.network = GenderNetwork(architecture.width, outliers is not None)
        if architecture.initial_weights is not None:
            load_backbone(architecture.initial_weights, self.network)
        self.network = self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._training, self._validation, self._outliers = training, validation, outliers
        self.rng = np.random.default_rng(run.seed)
        self._augmenter = Augmenter(config.augmentation, self.rng)
        self.optimizer, self.schedule = one_cycle(
            self.network, run.learning_rate, run.weight_decay, run.epochs * self.steps_per_epoch, _WARM_UP
        )

    @property
    def steps_per_epoch(self) -> int:
        """Steps until all people of the larger class were shown; an incomplete last step is left out."""
        n = 2 * int(np.bincount(self._training.labels, minlength=2).max())
        return max(1, n // self._config.run.batch_size)

    def losses(self) -> Iterator[Tensor]:
        """Yield the losses of the steps of one epoch."""
        order = balanced_order(self._training.labels, self.rng)
        for rows in np.array_split(order, self.steps_per_epoch):
            yield self._loss(rows)

    def _loss(self, rows: NDArray[np.int64]) -> Tensor:
        pictures = [self._training.pictures[row] for row in rows]
        options, outliers = self._config.out_of_distribution, self._outliers
        n_outliers = 0 if outliers is None else max(1, round(options.share * len(rows)))
        if outliers is not None:
            pictures += self._draw(outliers.in_distribution, n_outliers) + self._draw(outliers.training, n_outliers)
        crops = np.stack([self._augmenter.draw(one) for one in pictures])
        features = self.network.features(normalized(torch.as_tensor(crops)))
        logits, labels = self.network.logits(features[: len(rows)]), torch.as_tensor(self._training.labels[rows])
        loss = functional.cross_entropy(logits, labels, label_smoothing=self._config.run.label_smoothing)
        if n_outliers:
            outlier_logits = self.network.out_of_distribution_logits(features)
            loss = loss + options.weight * out_of_distribution_loss(outlier_logits, n_outliers)
        return loss

    def _draw(self, pictures: Sequence[CutOut], n: int) -> list[CutOut]:
        return [pictures[i] for i in self.rng.integers(len(pictures), size=n)]

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Return the loss at the best temperature and the accuracy, both with balanced classes."""
        assert isinstance(network, GenderNetwork)
        labels = self._validation.labels
        logits = evaluate(network, self._validation.plain).logits
        probabilities = tempered(logits, fit_temperature(logits, labels))
        weights = class_weights(labels)
        chosen = probabilities[np.arange(len(labels)), labels]
        return {
            "validation": float(-weights @ np.log(np.maximum(chosen, 1e-12))),
            "accuracy": float(weights @ (probabilities.argmax(1) == labels)),
        }

    def describe(self, metrics: Mapping[str, float]) -> str:
        """Return the accuracy."""
        return f"{metrics['accuracy']:.1%} correct"

    def checkpoint(self, network: GenderNetwork, source: str) -> GenderCheckpoint:
        """Calibrate a network: temperature, threshold, and limits of out-of-distribution pictures.

        Args:
            network: the trained network.
            source: a line about the weights' origin.
        """
        architecture, verdict = self._config.architecture, self._config.verdict
        unseen = evaluate(network, self._validation.plain)
        features = self._feature_distribution(network)
        temperature = fit_temperature(unseen.logits, self._validation.labels)
        probabilities = tempered(unseen.logits, temperature)
        threshold = verdict.threshold or choose_threshold(
            probabilities, self._validation.labels, verdict.target_error
        )
        distance = features.distance(unseen.features)
        settings = GenderSettings(
            width=architecture.width,
            side=architecture.side,
            temperature=temperature,
            threshold=threshold,
            distance_limit=verdict.distance_limit or float(distance.quantile(verdict.distance_quantile)),
            source=source,
            out_of_distribution_limit=self._out_of_distribution_limit(network),
        )
        return GenderCheckpoint(network.eval(), settings, features)

    @torch.inference_mode()
    def _out_of_distribution_limit(self, network: GenderNetwork) -> float | None:
        verdict = self._config.verdict
        if self._outliers is None:
            return None
        features = evaluate(network, [one.plain for one in self._outliers.held_out]).features
        probabilities = torch.sigmoid(network.out_of_distribution_logits(features).double()).numpy()
        chosen = choose_out_of_distribution_limit(probabilities, verdict.out_of_distribution_accepted)
        return verdict.out_of_distribution_limit or chosen

    def _feature_distribution(self, network: GenderNetwork) -> FeatureDistribution:
        """Features of the training pictures, plain and augmented, so that image faults are in distribution."""
        augmenter = Augmenter(self._config.augmentation, np.random.default_rng(self._config.run.seed))
        pictures = [*self._training.plain, *(augmenter.draw(one) for one in self._training.pictures)]
        labels = torch.as_tensor(np.tile(self._training.labels, 2))
        return FeatureDistribution.of(evaluate(network, pictures).features, labels)


def gender_trainer(
    training: CutOuts,
    validation: CutOuts,
    config: GenderTraining,
    outliers: OutOfDistributionPictures | None = None,
) -> Trainer:
    """Create the trainer of a gender classifier; the arguments are those of :class:`GenderTask`.

    Verdicts may be changed when a run is resumed.
    """
    task = GenderTask(training, validation, config, outliers)
    course = Course(config.run.epochs, task.steps_per_epoch)
    return Trainer(task, course, config, changeable=("verdict",), data_id=training.labels.tolist())


def train_gender(
    data: Path,
    output: Path,
    config: GenderTraining,
    resume: bool = False,
    monitor: Monitor | None = None,
) -> list[str]:
    """Train the gender classifier; return the lines of its report on the test people.

    Args:
        data: the manifest, see :func:`~smplifyx.training.gender_people.read_manifest`.
        output: folder for ``gender.safetensors``, ``test.csv``, ``report.txt``, ``reliability.png`` and the files of
            the course.
        config: all settings.
        resume: continue a stopped run.
        monitor: receives remarks and progress.

    Raises:
        InputError: the manifest, a photo, the initial weights or the state to resume from are unusable.
    """
    monitor, options, side = monitor or Monitor(), config.data, config.architecture.side
    people = _read_people(data, monitor)
    split = split_by_source(people, options.validation_share, options.test_share, config.run.seed)
    if not split.test:
        raise InputError(data, "too few sources; no person is left for the test")
    outliers = _load_outliers(config, split.training, monitor)
    training = _load_people(data, "training", split.training, side, TRAINING_RULES, monitor)
    validation = _load_people(data, "validation", split.validation, side, CropRules.for_side(side), monitor)
    trainer = gender_trainer(training, validation, config, outliers)
    write_manifest(output / "test.csv", split.test)
    run_to_end(trainer, output, resume, monitor)
    assert isinstance(trainer.task, GenderTask)
    source = f"{len(training.pictures)} people of {data.resolve().parent.name}"
    save_checkpoint(output / "gender.safetensors", trainer.task.checkpoint(trainer.best_network(), source))
    # Read back, so that the figures are those of the file.
    return _report(load_classifier(output / "gender.safetensors"), split.test, output, None, monitor)


def evaluate_gender(
    data: Path,
    checkpoint: Path | None,
    config: GenderTraining,
    output: Path | None = None,
    monitor: Monitor | None = None,
) -> list[str]:
    """Return the lines of the report of a classifier on all people of a manifest.

    Args:
        data: the manifest.
        checkpoint: a checkpoint or an ONNX file; None: the classifier that ships with the package, followed by the
            shipped classifier of faces and by the joint decisions of both.
        config: its ``verdict`` may replace threshold and limits of the classifier, not those of the faces.
        output: folder for ``report.txt`` and ``reliability.png``; None: not written.
        monitor: receives remarks and progress.

    Raises:
        InputError: a file is unusable.
    """
    monitor = monitor or Monitor()
    classifier = load_classifier(checkpoint)
    if checkpoint is None or checkpoint.suffix.lower() != ".onnx":
        settings = load_checkpoint(checkpoint or shipped_checkpoint()).settings
        monitor.note(f"{settings.source}; width {settings.width}, {settings.side} px")
    return _report(classifier, _read_people(data, monitor), output, config, monitor, with_faces=checkpoint is None)


def _read_people(path: Path, monitor: Monitor) -> list[LabelledPerson]:
    manifest = read_manifest(path)
    for failure in manifest.failures:
        monitor.note(f"left out: {failure}")
    return manifest.people


def _load_people(
    data: Path, part: str, people: list[LabelledPerson], side: int, rules: CropRules, monitor: Monitor
) -> CutOuts:
    with monitor.bar(part, "person", len(people)) as progress:
        loaded = load_cut_outs(people, side, rules, progress)
    counts = [int((loaded.labels == label).sum()) for label in range(len(CLASSES))]
    if not min(counts):
        raise InputError(data, f"too few sources; {part} has {counts[0]} male and {counts[1]} female people")
    refused = "".join(f"; {number} {reason}" for reason, number in loaded.refused.most_common())
    monitor.note(f"{part}: {counts[0]} male, {counts[1]} female{refused}")
    return loaded


def _load_outliers(
    config: GenderTraining, people: list[LabelledPerson], monitor: Monitor
) -> OutOfDistributionPictures | None:
    options = config.out_of_distribution
    if options.folder is None:
        return None
    photos = [person.observation.image_file for person in people]
    with monitor.bar("out of distribution", "photo", None) as progress:
        found = load_out_of_distribution(options, photos, config.architecture.side, config.run.seed, progress)
    monitor.note(f"out of distribution: {len(found.training)} training pictures, {len(found.held_out)} held out")
    return found


def _report(
    classifier: GenderClassifier,
    people: list[LabelledPerson],
    output: Path | None,
    config: GenderTraining | None,
    monitor: Monitor,
    with_faces: bool = False,
) -> list[str]:
    rule = classifier.rule
    named = {} if config is None else asdict(config.verdict)
    rule = replace(rule, **{name: named[name] for name in asdict(rule) if named.get(name) is not None})
    with monitor.bar("report", "person", len(people)) as progress:
        voters: list[Voter] = [BodyVoter(classifier, rule)]
        if with_faces:
            voters.append(FaceVoter())
        outcome, *faces = report_votes(people, voters, progress)
    lines = outcome.lines()
    for face in faces:
        lines += ["", "faces", *face.lines(), "", "joint decisions", *outcome.joint_lines(face)]
    if output is not None:
        write_report(output, lines)
        if len(outcome.classified) and can_plot("reliability.png", monitor):
            plot_reliability(outcome, output / "reliability.png")
    return lines
