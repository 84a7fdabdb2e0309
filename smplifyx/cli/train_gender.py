"""``smplifyx train gender``: the gender classifier from the user's own photos."""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from smplifyx.cli import messages
from smplifyx.cli.messages import required_file
from smplifyx.cli.training_options import SHIPPED, TrainingCommand, can_plot, run_training, training_config
from smplifyx.errors import UsageError

if TYPE_CHECKING:
    from smplifyx.gender import CropRules, GenderClassifier
    from smplifyx.training.gender_config import GenderTraining
    from smplifyx.training.gender_foreign import ForeignPictures
    from smplifyx.training.gender_people import CutOuts, LabelledPerson
    from smplifyx.training.gender_trainer import GenderTrainer

_COMMAND = TrainingCommand(
    name="gender",
    summary="the gender classifier, from photos",
    config_name="train_gender",
    data=("MANIFEST.csv", "table of people of known gender"),
    evaluate=(
        "CLASSIFIER",
        "only report on a classifier (.safetensors, .onnx); without a name, on the one that ships",
    ),
    example="architecture.width 24",
    description="""Train the classifier that decides between male, female and neutral bodies.

MANIFEST.csv has the columns image, keypoint_file, person (number in the keypoint file, from 0), label (male, female)
and perhaps source; paths are relative to it. People of one source (default: of one photo) stay together when they are
dealt out to training, validation and test.

With --foreign it also learns, from any photos without labels, which pictures are foreign to it. That is for training
on pictures of another kind than those it will see, such as rendered ones; people in your own photos need it not.

DIR gets gender.safetensors, the trained classifier, for `fit --gender.classifier`; config.yaml; state.pt, from which
--resume goes on; test.csv, the people who were held out; curves.png, reliability.png, and report.txt, the figures on
the people who were held out.

With --evaluate nothing is trained: the same figures for a classifier that exists, on all people of the manifest.""",
)


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those of ``train``."""
    parser = _COMMAND.add_parser(actions)
    parser.add_argument(
        "--foreign", metavar="PHOTOS", help="folder of photos or frames that are foreign to the people's"
    )
    parser.set_defaults(run=_train_gender, options=())


def _train_gender(arguments: argparse.Namespace) -> int:
    from smplifyx.training.gender_config import GenderTraining

    config = training_config(arguments, GenderTraining(), _COMMAND.config_name)
    if arguments.foreign is not None:
        config = replace(config, foreign=replace(config.foreign, folder=arguments.foreign))
    return run_training(arguments, config, _train, _evaluate)


def _train(arguments: argparse.Namespace, config: GenderTraining) -> None:
    from smplifyx.config import to_yaml
    from smplifyx.files import write_text
    from smplifyx.gender import CropRules, NetworkClassifier, load_checkpoint, save_checkpoint
    from smplifyx.training.gender_people import TRAINING_RULES, split_by_source, write_manifest
    from smplifyx.training.gender_trainer import GenderTrainer

    output, options = arguments.output, config.data
    people = _people(arguments.data)
    split = split_by_source(people, options.validation_share, options.test_share, config.run.seed)
    if not split.test:
        raise UsageError("--data: too few sources; test has nobody")
    side = config.architecture.side
    foreign = _foreign(config, split.training)
    training = _load("training", split.training, side, TRAINING_RULES)
    validation = _load("validation", split.validation, side, CropRules.for_side(side))
    trainer = GenderTrainer(training, validation, config, foreign)
    if arguments.resume:
        trainer.resume(output / "state.pt")
    write_text(output / "config.yaml", to_yaml(config))
    write_manifest(output / "test.csv", split.test)
    _run_epochs(trainer, output)
    source = f"{len(training.pictures)} people of {arguments.data.resolve().parent.name}"
    save_checkpoint(output / "gender.safetensors", trainer.checkpoint(source))
    # Read back, so that the figures are those of the file.
    classifier = NetworkClassifier(load_checkpoint(output / "gender.safetensors"))
    _report(classifier, split.test, output)


def _people(path: Path) -> list[LabelledPerson]:
    """Everybody of a manifest; whose keypoints are unusable is named and left out."""
    from smplifyx.training.gender_people import read_manifest

    manifest = required_file(read_manifest, path)
    for failure in manifest.failures:
        messages.note(f"left out: {failure}")
    return manifest.people


def _load(part: str, people: list[LabelledPerson], side: int, rules: CropRules) -> CutOuts:
    """People who can be classified, of both classes."""
    from tqdm import tqdm

    from smplifyx.gender import CLASSES
    from smplifyx.training.gender_people import load_cut_outs

    with tqdm(total=len(people), unit="person", desc=part, disable=None) as bar:
        loaded = load_cut_outs(people, side, rules, bar.update)
    counts = [int((loaded.labels == label).sum()) for label in range(len(CLASSES))]
    if not min(counts):
        raise UsageError(f"--data: too few sources; {part} has {counts[0]} male and {counts[1]} female people")
    refused = "".join(f"; {number} {reason}" for reason, number in loaded.refused.most_common())
    messages.note(f"{part}: {counts[0]} male, {counts[1]} female{refused}")
    return loaded


def _foreign(config: GenderTraining, people: list[LabelledPerson]) -> ForeignPictures | None:
    """Foreign and familiar pictures, if a folder of foreign photos is named."""
    from tqdm import tqdm

    from smplifyx.training.gender_foreign import load_foreign

    if config.foreign.folder is None:
        return None
    photos = [person.observation.image_path for person in people]
    with tqdm(unit="photo", desc="foreign", disable=None) as bar:
        found = required_file(
            load_foreign, config.foreign, photos, config.architecture.side, config.run.seed, bar.update
        )
    messages.note(f"foreign: {len(found.training)} pictures to learn, {len(found.held_out)} held out")
    return found


def _run_epochs(trainer: GenderTrainer, output: Path) -> None:
    """Trains to the end; after every epoch the state and the curves are up to date."""
    from tqdm import tqdm

    from smplifyx.training.gender_report import plot_history

    plot = can_plot("curves.png")
    total, n_done = (
        epochs * trainer.steps_per_epoch for epochs in (trainer.config.run.epochs, len(trainer.history.validation))
    )
    with tqdm(total=total, initial=n_done, unit="step", disable=None) as bar:
        for history in trainer.epochs(bar.update):
            trainer.save(output / "state.pt")
            if plot:
                plot_history(history, output / "curves.png")
            messages.note(
                f"epoch {len(history.validation)}: loss {history.training[-1]:.4f}, validation "
                f"{history.validation[-1]:.4f} ({history.accuracy[-1]:.1%} right)"
            )


def _evaluate(arguments: argparse.Namespace, config: GenderTraining) -> None:
    from smplifyx.gender import NetworkClassifier, OnnxClassifier, load_checkpoint, shipped_checkpoint

    path = shipped_checkpoint() if arguments.evaluate is SHIPPED else arguments.evaluate
    classifier: GenderClassifier
    if path.suffix == ".onnx":
        classifier = OnnxClassifier(path)
    else:
        checkpoint = load_checkpoint(path)
        messages.note(
            f"{checkpoint.settings.source}; width {checkpoint.settings.width}, {checkpoint.settings.side} px"
        )
        classifier = NetworkClassifier(checkpoint)
    _report(classifier, _people(arguments.data), arguments.output, config)


def _report(
    classifier: GenderClassifier,
    people: list[LabelledPerson],
    output: Path | None,
    config: GenderTraining | None = None,
) -> None:
    """Prints the figures; with a folder, writes and draws them too. A configuration may name another rule."""
    from tqdm import tqdm

    from smplifyx.files import write_text
    from smplifyx.training.gender_report import plot_reliability, report

    rule = classifier.rule
    named = {} if config is None else asdict(config.verdict)
    rule = replace(rule, **{name: named[name] for name in asdict(rule) if named.get(name) is not None})
    with tqdm(total=len(people), unit="person", desc="report", disable=None) as bar:
        outcome = report(people, classifier, rule, bar.update)
    for line in outcome.lines():
        messages.say(line)
    if output is not None:
        write_text(output / "report.txt", "\n".join(outcome.lines()) + "\n")
        if len(outcome.asked) and can_plot("reliability.png"):
            plot_reliability(outcome, output / "reliability.png")
