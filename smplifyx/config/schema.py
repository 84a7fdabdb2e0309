"""The settings of a fit, their defaults, and the combinations that are refused."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from smplifyx.config.fields import ConfigError, setting
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES

BodyPosePriorName = Literal["vposer", "gmm", "gaussian", "l2", "none"]


@dataclass(frozen=True)
class PeopleConfig:
    """Selection of people and of their keypoints."""

    max_persons: int | None = setting(
        None, "largest number of people per photo, the largest first; null: all", minimum=1
    )
    min_keypoints: int = setting(6, "people with fewer detected body keypoints are left out", minimum=1)
    min_confidence: float = setting(0.1, "keypoints below this confidence count as undetected", minimum=0, maximum=1)


@dataclass(frozen=True)
class CameraConfig:
    """The camera that took the photos."""

    focal_length: float | None = setting(None, "pixels; null: from the photo's EXIF, else the fallback", above=0)
    fallback_focal_factor: float = setting(1.2, "fallback focal length, in longer image sides", above=0)
    calibration: Path | None = setting(
        None, "YAML file: image stem or 'default' -> focal_length, principal_point in pixels; overrides focal_length"
    )
    optimize_translation: bool = setting(True, "optimise the camera translation after the camera stage too")


@dataclass(frozen=True)
class BodyConfig:
    """The body model."""

    model: Literal["smplx", "smplh", "smpl", "mano", "flame"] = setting(
        "smplx", "body, hands and face; body and hands; body; one hand; head"
    )
    gender: Literal["auto", "neutral", "male", "female"] = setting("auto", "auto: chosen for each person, see gender")
    models_dir: Path | None = setting(None, "folder of body-model files, the only one that is searched")
    n_hand_components: int = setting(12, "principal components of each hand's pose", minimum=1, maximum=12)
    openpose_joint_definitions: bool = setting(
        True, "neck and hips where OpenPose defines them, not at the model's own joints; (paper) false"
    )
    shared_eyes: bool = setting(True, "both eyes look in the same direction, as no pupils are fitted; (paper) false")


@dataclass(frozen=True)
class GenderConfig:
    """Choice of body.gender auto: by a label, else by the classifiers where they are sure, else neutral."""

    labels: Path | None = setting(
        None, "CSV file with image, person, label; overrides gender_gt and gender_pd of the keypoint files"
    )
    classifier: Literal["auto", "face", "body", "none"] | Path = setting(
        "auto",
        "for people without a label. face, body: the shipped classifier of faces, of whole people; auto: both; "
        "none: they are neutral; FILE: a checkpoint of `smplifyx train gender`, or an .onnx file "
        "(3 x 224 x 224 -> male, female), instead",
    )
    threshold: float | None = setting(
        None, "lowest probability for male or female; null: each classifier's own (0.9 for .onnx)", above=0.5
    )


@dataclass(frozen=True)
class PriorsConfig:
    """Priors of the body pose."""

    body_pose: BodyPosePriorName = setting("vposer", "prior of the 21 body joints")
    vposer: Path | None = setting(None, "trained VPoser: ours or the official v1 or v2; null: the shipped one")
    vposer_residual: float = setting(
        2.0,
        "standard deviation of the residual added to VPoser's pose, relative to VPoser's own reconstruction error; "
        "(paper) 0: no residual",
        minimum=0,
    )
    vposer_rounding: float = setting(
        0.15,
        "half of the width over which the kinks of VPoser's rectifiers are rounded, so that fits find minima; "
        "(paper) 0: kinks",
        minimum=0,
    )
    gmm: Path | None = setting(None, "mixture of Gaussians (.npz, or gmm_08.pkl); null: the shipped one")

    @property
    def file(self) -> Path | None:
        """The file of the chosen prior; None for the shipped one."""
        return {"vposer": self.vposer, "gmm": self.gmm}.get(self.body_pose)


@dataclass(frozen=True)
class LiftingConfig:
    """3D joints predicted from the 2D keypoints: initial orientation, lifting term, swapped limbs."""

    enabled: bool = setting(True, "false loads and changes nothing; (paper) false")
    checkpoint: Path | None = setting(None, "network from `smplifyx train lifting`; null: the shipped one")
    weight: float = setting(4.0, "lifting term: keeps body joints near the predicted ones", minimum=0)
    undo_swaps: float | None = setting(
        0.8,
        "arms or legs are swapped back when left and right are swapped with at least this probability; null: never",
        above=0,
        maximum=1,
    )
    detector_depth_sd: float | None = setting(
        0.1, "standard deviation of the depths that a detector's own 3D points have, metres; null: not used", above=0
    )


@dataclass(frozen=True)
class ObjectiveConfig:
    """The keypoint term, and posture terms with the same weight in all stages."""

    scale: Literal["person", "image"] = setting(
        "person", "unit of keypoint errors: 1/1000 of the person's size, or (paper) of the image height"
    )
    rho: float = setting(70.0, "scale of the robust keypoint error, in that unit", above=0)
    ignored_keypoints: tuple[str, ...] = setting(
        (),
        "keypoints excluded from the keypoint term, by name, such as neck, right_hip, left_hand_wrist, face_17",
        names=CANONICAL_KEYPOINT_NAMES,
    )
    trunk_tilt: float = setting(
        75.0, "keeps the trunk from leaning towards or away from the camera; (paper) 0", minimum=0
    )
    upright_stance: float = setting(
        80.0, "keeps trunk and legs upright if the legs look straight or are not seen; (paper) 0", minimum=0
    )


@dataclass(frozen=True)
class StartsConfig:
    """Initial poses; the one of lowest loss is kept."""

    headings: int | Literal["auto"] = setting(
        "auto",
        "number of headings, evenly spread; auto: the lifted one, or without lifting up to four",
        minimum=1,
    )
    depth_flips: int = setting(
        8,
        "number of poses with limbs or trunk mirrored in depth that are tried beside the best start",
        minimum=0,
        maximum=20,
    )
    select_after_stage: int = setting(
        3, "the best heading is selected after this stage (from 1), depth flips are tried in the next", minimum=1
    )
    side_view_threshold: float | None = setting(
        None, "also start turned by 180 degrees if the shoulders are closer than this, pixels; (paper) 25", above=0
    )


@dataclass(frozen=True)
class Stage:
    """The weights of one stage. A term adds weight^2 * energy to the loss, as in the paper's tables."""

    body_pose: float = setting(10.0, "body-pose prior (smplx, smplh, smpl)", minimum=0)
    joint_limits: float = setting(5.6302753, "limits of elbows and knees (smplx, smplh, smpl)", minimum=0)
    neck_pose: float = setting(40.0, "neck rotation (flame)", minimum=0)
    shape: float = setting(8.0, "shape coefficients", minimum=0)
    expression: float = setting(5.0, "expression coefficients (smplx, flame)", minimum=0)
    hand_pose: float = setting(4.78, "hand poses (smplx, smplh, mano)", minimum=0)
    jaw_pose: tuple[float, float, float] = setting(
        (47.8, 478.0, 478.0), "jaw rotation, by axis (smplx, flame)", minimum=0
    )
    eye_pose: float = setting(4.78, "eye rotations (smplx, flame)", minimum=0)
    hand_keypoints: float = setting(0.0, "hand keypoints; body keypoints have weight 1", minimum=0)
    face_keypoints: float = setting(0.0, "face keypoints; body keypoints have weight 1", minimum=0)
    collision: float = setting(0.0, "self-collision (smplx, smplh, smpl)", minimum=0)
    max_iterations: int | None = setting(None, "null: optimizer.max_iterations", minimum=1)
    tolerance: float | None = setting(None, "null: optimizer.tolerance", minimum=0)


def _default_stages() -> tuple[Stage, ...]:
    """The paper's annealing with weights for our body and priors."""
    early = Stage(
        body_pose=404.0, joint_limits=35.78659, shape=100.0, expression=100.0, hand_pose=404.0,
        jaw_pose=(4040.0, 40400.0, 40400.0), eye_pose=404.0,
    )  # fmt: skip
    return (
        early,
        replace(early, shape=50.0, expression=50.0),
        Stage(body_pose=30.0, joint_limits=9.751923, shape=10.0, expression=10.0, hand_pose=57.4,
              jaw_pose=(574.0, 5740.0, 5740.0), eye_pose=57.4),
        Stage(hand_pose=12.0, hand_keypoints=0.2, collision=1.0),
        Stage(hand_pose=12.0, hand_keypoints=3.0, face_keypoints=2.0, collision=10.0, tolerance=1e-8),
    )  # fmt: skip


@dataclass(frozen=True)
class OptimizerConfig:
    """The batched L-BFGS."""

    max_iterations: int = setting(200, "largest number of iterations per stage", minimum=1)
    tolerance: float = setting(
        1e-3, "a person has converged when the loss falls by less than this fraction", minimum=0
    )
    patience: int = setting(
        3, "number of such steps in a row before a person has converged; without gauss_newton", minimum=1
    )
    history_size: int = setting(20, "pairs of steps and gradients kept", minimum=1)
    gauss_newton: bool = setting(
        True, "start from Gauss-Newton matrices and stop by the decrease that they predict; (paper) false"
    )


@dataclass(frozen=True)
class CollisionConfig:
    """Self-collision."""

    enabled: bool = setting(True, "false: no self-collision term in any stage")
    rounds: int = setting(
        3,
        "number of minimisations with contacts, which are found before each one and become stiffer; (paper) 0: one "
        "with the conic distance field of the pairs that intersect at each step",
        minimum=0,
    )
    cone_height: float = setting(
        0.0001, "with 0 rounds: sigma of the conic distance field, metres; (paper) 0.0001", above=0
    )
    max_loss_increase: float | None = setting(
        0.5,
        "the pose before resolving collisions is kept if the other terms rise by more than this fraction; "
        "null (paper): any rise is accepted",
        above=0,
    )
    ignored_parts: tuple[str, ...] = setting(
        (
            "spine3-left_shoulder", "spine3-right_shoulder", "spine2-left_shoulder", "spine2-right_shoulder",
            "left_hip-right_hip", "neck-jaw",
        ),
        "pairs of parts, by joint, that may overlap besides adjacent parts",
    )  # fmt: skip
    ignored_share: float = setting(
        0.5, "share of an upper arm, from the shoulder on, that ignored_parts means; (paper) 1: all of it", above=0
    )
    part_segmentation: Path | None = setting(
        None, "parts by triangle: smplx_parts_segm.pkl; null: by the joint that moves a triangle most"
    )


@dataclass(frozen=True)
class SequenceConfig:
    """Tracks of one person over time and from several cameras: smoothness, outliers, windows."""

    joint_smoothness: float = setting(0.5, "accelerations of joints, m/s^2", minimum=0)
    joint_acceleration: float = setting(
        3.0, "acceleration from which the energy of a joint grows linearly, m/s^2", above=0
    )
    rotation_smoothness: float = setting(0.05, "accelerations of the body's rotations, rad/s^2", minimum=0)
    rotation_acceleration: float = setting(50.0, "the same as joint_acceleration for rotations, rad/s^2", above=0)
    face_smoothness: float = setting(0.02, "accelerations of expression, jaw and eyes, 1/s^2", minimum=0)
    face_acceleration: float = setting(100.0, "the same as joint_acceleration for the face, 1/s^2", above=0)
    outlier_limit: float = setting(
        4.0, "observations with this many times the typical reprojection error are rejected", above=1
    )
    window: int = setting(150, "longest sequence that is fitted at once, frames", minimum=20)


@dataclass(frozen=True)
class OutputConfig:
    """Files to write."""

    mesh_format: Literal["auto", "obj", "ply", "glb", "none"] = setting(
        "auto", "file format of the meshes; auto: obj for up to 100 photos, none for more; none: no meshes"
    )
    save_pickle: bool = setting(False, "also write the parameters in SMPLify-X's pickle layout")
    render: bool = setting(True, "draw the body over the photo")
    side_view: bool = setting(True, "also draw the body from the side")
    picture_format: Literal["jpg", "png"] = setting("jpg", "file format of the pictures")
    report: bool = setting(True, "write a page to judge the fits: report/index.html")
    max_render_size: int = setting(1024, "longer side of the pictures, pixels", minimum=16)
    pack: bool = setting(False, "write files of people into tar archives for WebDataset instead of folders")


@dataclass(frozen=True)
class Config:
    """The settings of a fit."""

    people: PeopleConfig = field(default_factory=PeopleConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    body: BodyConfig = field(default_factory=BodyConfig)
    gender: GenderConfig = field(default_factory=GenderConfig)
    priors: PriorsConfig = field(default_factory=PriorsConfig)
    lifting: LiftingConfig = field(default_factory=LiftingConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    starts: StartsConfig = field(default_factory=StartsConfig)
    stages: tuple[Stage, ...] = setting(
        _default_stages(), "Weights by stage; a term adds weight^2 * energy to the loss"
    )
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    collision: CollisionConfig = field(default_factory=CollisionConfig)
    sequence: SequenceConfig = field(default_factory=SequenceConfig)
    output: OutputConfig = field(default_factory=OutputConfig)


def check(config: Config, source: str = "configuration") -> None:
    """Refuse settings that are valid alone but not together; raises :class:`ConfigError`."""
    if not config.stages:
        raise ConfigError(source, "stages", "expected at least one stage")
    _check_starts(config, source)
    _check_part_model(config, source)


def _check_starts(config: Config, source: str) -> None:
    """Refuse a selection after a stage that does not exist, and flips without a stage to compete in."""
    n_stages, selected = len(config.stages), config.starts.select_after_stage
    if selected > n_stages:
        problem = f"expected at most the number of stages ({n_stages}), found {selected}"
        raise ConfigError(source, "starts.select_after_stage", problem)
    if selected == n_stages and config.starts.depth_flips and config.body.model not in _PART_WEIGHTS:
        problem = (
            f"expected less than the number of stages ({n_stages}), found {selected}: depth flips compete in the "
            "next stage; starts.depth_flips 0 turns them off"
        )
        raise ConfigError(source, "starts.select_after_stage", problem)


#: The keypoint weight of a model of a hand or a head.
_PART_WEIGHTS = {"mano": "hand_keypoints", "flame": "face_keypoints"}


def _check_part_model(config: Config, source: str) -> None:
    """Refuse stages and terms with which a hand or a head alone cannot be fitted."""
    weight = _PART_WEIGHTS.get(config.body.model)
    if weight is None:
        return
    hint = f"for body.model {config.body.model}; see the configuration fit_{config.body.model}"
    for number, stage in enumerate(config.stages, 1):
        if not getattr(stage, weight):
            raise ConfigError(source, f"stages.{number}.{weight}", f"expected more than 0 {hint}")
    if config.collision.enabled:
        raise ConfigError(source, "collision.enabled", f"expected false {hint}")
