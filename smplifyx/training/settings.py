"""Settings of the training runs: body-pose network, lifting network, gender classifier."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from smplifyx.config.fields import setting
from smplifyx.synthetic.noise import DetectorNoise


@dataclass(frozen=True)
class PoseData:
    """Poses to learn from."""

    fps: float = setting(10.0, "AMASS files are thinned to about this frame rate", above=0)
    held_out: tuple[str, ...] = setting((), "subjects excluded from training; the report is about them")
    split_by: Literal["subject", "clip"] = setting("clip", "unit that is not split between training and validation")
    validation_share: float = setting(0.06, "share of the frames for validation", above=0, maximum=0.5)
    upright_share: float = setting(
        0.15, "share of drawn poses: people standing with hanging arms", minimum=0, maximum=1
    )
    seated_share: float = setting(
        0.10, "share of drawn poses changed to sitting, kneeling or squatting", minimum=0, maximum=1
    )


@dataclass(frozen=True)
class VPoserLoss:
    """Weights of the loss."""

    divergence: float = setting(0.002, "Kullback-Leibler divergence of the code from a standard normal", minimum=0)
    surface: float = setting(4.0, "mean distance of surface points, metres", minimum=0)
    rotation: float = setting(2.0, "mean angle between joint rotations, radians", minimum=0)
    centre: float = setting(1.0, "mean angle between the decoded zero and the standing pose, radians", minimum=0)
    weight_decay: float = setting(1e-5, "of all network weights", minimum=0)


@dataclass(frozen=True)
class VPoserRun:
    """Network size and length of the run."""

    seed: int = setting(0, "random seed", minimum=0)
    n_latent: int = setting(32, "length of the code", minimum=1)
    n_hidden: int = setting(512, "width of the hidden layers", minimum=1)
    n_surface_points: int = setting(100, "vertices used by the surface term", minimum=1)
    batch_size: int = setting(256, "poses per step", minimum=2)
    steps_per_epoch: int = setting(250, "steps between validations", minimum=1)
    n_validation: int = setting(2048, "poses per validation", minimum=1)
    epochs: int = setting(40, "largest number of epochs", minimum=1)
    learning_rate: float = setting(1e-3, "at the start; halved when validation stalls", above=0)
    patience: int = setting(2, "epochs without improvement before the learning rate is halved", minimum=1)
    stop_after: int = setting(6, "epochs without improvement before the run stops", minimum=1)


@dataclass(frozen=True)
class VPoserConfig:
    """Settings of a training run of the body-pose network."""

    data: PoseData = field(default_factory=PoseData)
    loss: VPoserLoss = field(default_factory=VPoserLoss)
    run: VPoserRun = field(default_factory=VPoserRun)


@dataclass(frozen=True)
class LiftingPeople:
    """Synthetic people and their cameras."""

    count: int = setting(400_000, "number of people; their keypoints are detected anew in each step", minimum=1)
    mixed_share: float = setting(0.2, "share with the legs of one pose and the rest of another", minimum=0, maximum=1)
    standing_share: float = setting(
        0.3, "share with legs and trunk of a standing person, who are more frequent in photos", minimum=0, maximum=1
    )
    shape_sd: float = setting(1.0, "sd of the shape coefficients", minimum=0)
    hand_sd: float = setting(
        0.6, "sd of the first hand component, radians; the k-th has 1 / sqrt(k) of it", minimum=0
    )
    facing_share: float = setting(0.6, "share facing the camera; the others have any heading", minimum=0, maximum=1)
    facing_sd_deg: float = setting(40.0, "sd of the headings of people facing the camera, degrees", minimum=0)
    pitch_sd_deg: float = setting(10.0, "sd of the camera's pitch, degrees", minimum=0)
    roll_sd_deg: float = setting(4.0, "sd of the camera's roll, degrees", minimum=0)
    tilt_sd_deg: float = setting(7.0, "sd of the pelvis' tilt about all axes, degrees", minimum=0)
    standing_tilt_sd_deg: float = setting(3.0, "the same of standing people, degrees", minimum=0)
    lying_share: float = setting(0.05, "share with any orientation", minimum=0, maximum=1)
    correlated_share: float = setting(0.4, "share detected by correlated_detector", minimum=0, maximum=1)
    all_visible_share: float = setting(
        0.25, "share of whom keypoints behind the body are detected as well as visible ones", minimum=0, maximum=1
    )
    focal_spread: float = setting(0.35, "sd of the logarithm of the focal length's error", minimum=0)
    distance: tuple[float, float] = setting((1.6, 12.0), "nearest and furthest, metres, log-uniform", above=0)


#: Simulated detector with independent errors. Its points are in focal lengths, so hands and faces have no least size.
TRAINING_DETECTOR = DetectorNoise(
    jitter_spread=0.5,
    limb_hidden_rate=0.08,
    body_miss_rate=0.4,
    head_miss_rate=0.85,
    stray_miss_rate=0.02,
    hand_miss_rate=0.3,
    min_part_px=0.0,
    cut_rate=0.25,
    side_cut_rate=0.06,
    swap_rate=0.04,
    confidence_range=(0.7, 1.2),
    unsure_rate=0.05,
    certain_rate=0.25,
)
#: Simulated detector with errors shared within limbs, random joint offsets of each person, and missing limbs.
CORRELATED_TRAINING_DETECTOR = replace(
    TRAINING_DETECTOR,
    tail=4,
    limb_jitter=0.008,
    limb_spread=0.8,
    offset_sd=0.004,
    limb_miss_rate=0.06,
    confidence=0.76,
    confidence_sd=0.12,
)


@dataclass(frozen=True)
class LiftingRun:
    """Network size and length of the run."""

    seed: int = setting(0, "random seed", minimum=0)
    width: int = setting(512, "of the layers", minimum=1)
    n_blocks: int = setting(3, "residual blocks of two layers", minimum=1)
    batch_size: int = setting(512, "people per step", minimum=2)
    steps_per_epoch: int = setting(500, "steps between validations", minimum=1)
    epochs: int = setting(64, "number of epochs", minimum=1)
    learning_rate: float = setting(1.5e-3, "highest, reached early; falls to zero", above=0)
    weight_decay: float = setting(0.01, "of all network weights", minimum=0)
    averaging: float = setting(0.997, "share of the averaged network kept by each step", minimum=0, maximum=1)
    initial_weights: Path | None = setting(None, "trained network to start from; null: random")
    swap_weight: float = setting(0.3, "weight of the cross-entropy of swapped sides in the loss", minimum=0)
    n_validation: int = setting(4000, "people per validation", minimum=1)


@dataclass(frozen=True)
class LiftingConfig:
    """Settings of a training run of the lifting network."""

    data: PoseData = field(default_factory=PoseData)
    people: LiftingPeople = field(default_factory=LiftingPeople)
    detector: DetectorNoise = field(default_factory=lambda: TRAINING_DETECTOR)
    correlated_detector: DetectorNoise = field(default_factory=lambda: CORRELATED_TRAINING_DETECTOR)
    run: LiftingRun = field(default_factory=LiftingRun)


@dataclass(frozen=True)
class GenderData:
    """Split of the people; people of one source are never split."""

    validation_share: float = setting(
        0.1, "share of the sources that decide on epoch, temperature and threshold", above=0, maximum=0.5
    )
    test_share: float = setting(0.1, "share of the sources for the report", above=0, maximum=0.5)


@dataclass(frozen=True)
class GenderArchitecture:
    """The ResNet-18."""

    # Gradients of fewer channels corrupt memory in torch 2.13 on some processors (seen at 4).
    width: int = setting(64, "channels of the first layer; 64 is the published network", minimum=8, maximum=512)
    side: int = setting(224, "of the square picture, pixels", minimum=32, maximum=1024)
    initial_weights: Path | None = setting(
        None, "weights of a ResNet-18 of that width with torchvision's names; null: random"
    )


@dataclass(frozen=True)
class GenderAugmentation:
    """Probabilities of changes of a training picture."""

    box: float = setting(0.8, "other margins around the person", minimum=0, maximum=1)
    cut_off: float = setting(0.15, "a part of the person is outside the picture", minimum=0, maximum=1)
    rotation_deg: float = setting(8.0, "largest rotation, degrees", minimum=0, maximum=180)
    color: float = setting(0.8, "other brightness, contrast and colours", minimum=0, maximum=1)
    grey: float = setting(0.1, "no colours", minimum=0, maximum=1)
    blur: float = setting(0.2, "out of focus, or enlarged from fewer pixels", minimum=0, maximum=1)
    noise: float = setting(0.2, "sensor noise", minimum=0, maximum=1)
    compression: float = setting(0.2, "artefacts of strong JPEG compression", minimum=0, maximum=1)
    hidden: float = setting(0.2, "a rectangle covers a part", minimum=0, maximum=1)


@dataclass(frozen=True)
class OutOfDistribution:
    """Pictures that the classifier must not judge."""

    folder: Path | None = setting(
        None, "photos or frames without labels; those of one subfolder are not split; null: none"
    )
    crops: int = setting(5000, "crops of these photos, and about as many of the training's photos", minimum=1)
    share: float = setting(0.25, "crops of either kind per person in a step", above=0, maximum=4)
    weight: float = setting(1.0, "weight of their loss", above=0)
    validation_share: float = setting(0.2, "share of the photos that decide on the limit", above=0, maximum=0.5)


@dataclass(frozen=True)
class GenderRun:
    """Length of the run."""

    seed: int = setting(0, "random seed", minimum=0)
    epochs: int = setting(20, "each shows all people of the larger class once", minimum=1)
    batch_size: int = setting(32, "pictures per step", minimum=2)
    learning_rate: float = setting(1e-3, "highest, reached early; falls to zero", above=0)
    weight_decay: float = setting(0.05, "of all network weights", minimum=0)
    label_smoothing: float = setting(0.1, "probability of the other class in the labels", minimum=0, maximum=0.5)


@dataclass(frozen=True)
class GenderVerdict:
    """Threshold and limits of verdicts; --resume may change them for a finished run."""

    target_error: float = setting(
        0.05, "the threshold is the lowest with at most this share of wrong verdicts", minimum=0, maximum=1
    )
    threshold: float | None = setting(None, "this threshold instead", above=0.5)
    distance_quantile: float = setting(
        0.99, "the distance limit is this quantile of the validation pictures", above=0, maximum=1
    )
    distance_limit: float | None = setting(None, "this limit of the distance instead", above=0)
    out_of_distribution_accepted: float = setting(
        0.05, "the probability limit accepts at most this share of held-out pictures", minimum=0, maximum=1
    )
    out_of_distribution_limit: float | None = setting(None, "this limit of the probability instead", above=0)


@dataclass(frozen=True)
class GenderTraining:
    """Settings of a training run of the gender classifier."""

    data: GenderData = field(default_factory=GenderData)
    architecture: GenderArchitecture = field(default_factory=GenderArchitecture)
    augmentation: GenderAugmentation = field(default_factory=GenderAugmentation)
    out_of_distribution: OutOfDistribution = field(default_factory=OutOfDistribution)
    run: GenderRun = field(default_factory=GenderRun)
    verdict: GenderVerdict = field(default_factory=GenderVerdict)
