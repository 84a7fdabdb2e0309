"""The settings of a training run of the lifting network."""

from __future__ import annotations

from dataclasses import dataclass, field

from smplifyx.config.fields import setting
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
    distance: tuple[float, float] = setting((1.6, 12.0), "nearest and furthest, metres, log-uniform", above=0)


@dataclass(frozen=True)
class LiftingDetectorSettings:
    """What the detector does to their keypoints; jitter is in sizes of a person's box."""

    body_jitter: float = setting(0.007, "of ordinary people's body keypoints", minimum=0)
    hand_jitter: float = setting(0.0025, "of the hands'", minimum=0)
    jitter_spread: float = setting(0.5, "how much it differs between people; standard deviation of its logarithm")
    hidden_rate: float = setting(0.1, "chance that each limb, or end of one, is hidden", minimum=0, maximum=1)
    missed_share: float = setting(0.4, "of hidden keypoints; the others are guessed, twice as far off", minimum=0)
    no_hand_rate: float = setting(0.35, "chance that a hand is not detected", minimum=0, maximum=1)
    cut_rate: float = setting(0.25, "of people who are cut off below", minimum=0, maximum=1)
    side_cut_rate: float = setting(0.06, "of people who are cut off at a side", minimum=0, maximum=1)
    exchange_rate: float = setting(0.04, "of people whose arms or legs have left and right exchanged", minimum=0)
    doubt_rate: float = setting(0.05, "of good keypoints whose confidence is low", minimum=0, maximum=1)
    certain_rate: float = setting(0.25, "of people whose detector gives every keypoint a confidence of 1", minimum=0)
    focal_spread: float = setting(0.35, "error of the focal length; standard deviation of its logarithm", minimum=0)


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
    detector: LiftingDetectorSettings = field(default_factory=LiftingDetectorSettings)
    run: LiftingRun = field(default_factory=LiftingRun)
