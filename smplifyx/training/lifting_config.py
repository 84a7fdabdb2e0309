"""The settings of a training run of the lifting network."""

from __future__ import annotations

from dataclasses import dataclass, field

from smplifyx.config.fields import setting
from smplifyx.synthetic.detector import DetectorNoise
from smplifyx.training.vposer_config import VPoserData


@dataclass(frozen=True)
class LiftingPeopleSettings:
    """Who stands before the camera, and where it is."""

    count: int = setting(400_000, "people that are made; each is seen anew in every step", minimum=1)
    mixed_share: float = setting(0.15, "with the legs of one pose and the rest of another", minimum=0, maximum=1)
    standing_share: float = setting(
        0.3, "with legs and trunk of somebody who stands straight: photos show more of them", minimum=0, maximum=1
    )
    shape_sd: float = setting(1.0, "of the shape coefficients", minimum=0)
    hand_sd: float = setting(0.6, "of the first hand component, radians; the k-th has 1 / sqrt(k) of it", minimum=0)
    facing_share: float = setting(0.6, "face the camera, about; the rest look anywhere", minimum=0, maximum=1)
    facing_sd_deg: float = setting(40.0, "of the first ones' headings, degrees", minimum=0)
    pitch_sd_deg: float = setting(10.0, "of the camera, degrees", minimum=0)
    roll_sd_deg: float = setting(4.0, "of the camera, degrees", minimum=0)
    tilt_sd_deg: float = setting(7.0, "of the pelvis, about all axes, degrees", minimum=0)
    standing_tilt_sd_deg: float = setting(3.0, "the same of people who stand straight, degrees", minimum=0)
    lying_share: float = setting(0.05, "turned in any way", minimum=0, maximum=1)
    focal_spread: float = setting(0.35, "error of the focal length; standard deviation of its logarithm", minimum=0)
    distance: tuple[float, float] = setting((1.6, 12.0), "nearest and furthest, metres, log-uniform", above=0)


#: The simulated detector of the training; its points are in focal lengths, so that no part is too small.
TRAINING_DETECTOR = DetectorNoise(
    jitter_spread=0.5,
    limb_hidden_rate=0.1,
    body_miss_rate=0.4,
    head_miss_rate=0.4,
    stray_miss_rate=0.02,
    hand_miss_rate=0.35,
    min_part_px=0.0,
    cut_rate=0.25,
    side_cut_rate=0.06,
    swap_rate=0.04,
    confidence_range=(0.7, 1.2),
    unsure_rate=0.05,
    certain_rate=0.25,
)


@dataclass(frozen=True)
class LiftingRun:
    """How long and how fast."""

    seed: int = setting(0, "seed of everything random", minimum=0)
    width: int = setting(512, "of the layers", minimum=1)
    n_blocks: int = setting(3, "residual blocks of two layers", minimum=1)
    batch_size: int = setting(512, "people a step", minimum=2)
    steps_per_epoch: int = setting(500, "steps between validations", minimum=1)
    epochs: int = setting(64, "so many", minimum=1)
    learning_rate: float = setting(1.5e-3, "at its highest, early; falls to zero", above=0)
    weight_decay: float = setting(0.01, "of all network weights", minimum=0)
    averaging: float = setting(0.997, "share of the averaged network that each step leaves", minimum=0, maximum=1)
    exchange_weight: float = setting(0.3, "of the cross-entropy of exchanged limbs in the loss", minimum=0)
    n_validation: int = setting(4000, "people of a validation", minimum=1)


@dataclass(frozen=True)
class LiftingConfig:
    """Everything about a training run."""

    data: VPoserData = field(default_factory=VPoserData)
    people: LiftingPeopleSettings = field(default_factory=LiftingPeopleSettings)
    detector: DetectorNoise = field(default_factory=lambda: TRAINING_DETECTOR)
    run: LiftingRun = field(default_factory=LiftingRun)
