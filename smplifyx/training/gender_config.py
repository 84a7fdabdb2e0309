"""The settings of a training run of the gender classifier."""

from __future__ import annotations

from dataclasses import dataclass, field

from smplifyx.config.fields import setting


@dataclass(frozen=True)
class GenderData:
    """How the people are dealt out; people of one source always stay together."""

    validation_share: float = setting(
        0.1, "of the sources; decides which epoch is kept, temperature, threshold", above=0, maximum=0.5
    )
    test_share: float = setting(0.1, "of the sources; the report is about them", above=0, maximum=0.5)


@dataclass(frozen=True)
class GenderArchitecture:
    """The ResNet-18."""

    width: int = setting(64, "channels of the first layer; 64 is the published network", minimum=1, maximum=512)
    side: int = setting(224, "of the square picture, pixels", minimum=32, maximum=1024)
    initial_weights: str | None = setting(
        None, "weights of a ResNet-18 of that width with torchvision's names; null: random"
    )


@dataclass(frozen=True)
class GenderAugmentation:
    """How likely each change of a training picture is."""

    box: float = setting(0.8, "other margins around the person", minimum=0, maximum=1)
    cut_off: float = setting(0.15, "a part of the person is out of the picture", minimum=0, maximum=1)
    rotation_deg: float = setting(8.0, "largest rotation, degrees", minimum=0, maximum=180)
    color: float = setting(0.8, "other brightness, contrast and colours", minimum=0, maximum=1)
    grey: float = setting(0.1, "no colours", minimum=0, maximum=1)
    blur: float = setting(0.2, "out of focus, or enlarged from fewer pixels", minimum=0, maximum=1)
    noise: float = setting(0.2, "grain", minimum=0, maximum=1)
    compression: float = setting(0.2, "marks of strong JPEG compression", minimum=0, maximum=1)
    hidden: float = setting(0.2, "a rectangle covers a part", minimum=0, maximum=1)


@dataclass(frozen=True)
class GenderForeign:
    """Pictures of what the classifier shall not judge, from which it learns to say so."""

    folder: str | None = setting(
        None, "photos or frames, no labels; those of one subfolder stay together; null: none"
    )
    crops: int = setting(
        5000, "cut out of them, and about as many rectangles out of the training's photos", minimum=1
    )
    share: float = setting(0.25, "of them, and of rectangles, for each person that is shown", above=0, maximum=4)
    weight: float = setting(1.0, "of what is lost on them", above=0)
    validation_share: float = setting(0.2, "of the photos; decides about the limit", above=0, maximum=0.5)


@dataclass(frozen=True)
class GenderRun:
    """How long and how fast."""

    seed: int = setting(0, "seed of everything random", minimum=0)
    epochs: int = setting(20, "each shows every person of the larger class once", minimum=1)
    batch_size: int = setting(32, "pictures a step", minimum=2)
    learning_rate: float = setting(1e-3, "at its highest, early; falls to zero", above=0)
    weight_decay: float = setting(0.05, "of all network weights", minimum=0)
    label_smoothing: float = setting(0.1, "share of doubt in the labels", minimum=0, maximum=0.5)


@dataclass(frozen=True)
class GenderVerdict:
    """When an answer shall count; may be changed for a run that is over, with --resume."""

    target_error: float = setting(
        0.05, "the threshold is the lowest with at most this share of wrong verdicts", minimum=0, maximum=1
    )
    threshold: float | None = setting(None, "this threshold instead", above=0.5)
    foreign_quantile: float = setting(
        0.99, "share of the validation pictures that count as familiar", above=0, maximum=1
    )
    foreign_limit: float | None = setting(None, "this limit of the distance instead", above=0)
    foreign_passed: float = setting(
        0.05, "at most this share of held-out foreign pictures counts as familiar", minimum=0, maximum=1
    )
    foreign_probability_limit: float | None = setting(None, "this limit of the probability instead", above=0)


@dataclass(frozen=True)
class GenderTraining:
    """Everything about a training run."""

    data: GenderData = field(default_factory=GenderData)
    architecture: GenderArchitecture = field(default_factory=GenderArchitecture)
    augmentation: GenderAugmentation = field(default_factory=GenderAugmentation)
    foreign: GenderForeign = field(default_factory=GenderForeign)
    run: GenderRun = field(default_factory=GenderRun)
    verdict: GenderVerdict = field(default_factory=GenderVerdict)
