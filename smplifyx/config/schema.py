"""The settings of a run, their defaults, and the combinations that make no sense."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from smplifyx.config.fields import ConfigError, setting


@dataclass(frozen=True)
class InputConfig:
    """What is read, and which people are fitted."""

    images: str | None = setting(None, "folder of photos")
    keypoints: str | None = setting(None, "folder of keypoint files, one a photo: NAME_keypoints.json")
    max_persons: int | None = setting(None, "at most so many people a photo, the largest first; null: all", minimum=1)
    min_keypoints: int = setting(6, "people with fewer detected body keypoints are left out", minimum=1)
    min_confidence: float = setting(0.1, "keypoints below this confidence count as undetected", minimum=0, maximum=1)


@dataclass(frozen=True)
class CameraConfig:
    """The camera that took the photos."""

    focal_length: float | None = setting(None, "pixels; null: from the photo's EXIF, else the fallback", above=0)
    fallback_focal_factor: float = setting(1.2, "fallback focal length, in longer image sides", above=0)
    calibration: str | None = setting(
        None, "YAML: image stem or 'default' -> focal_length, principal_point in pixels; goes before focal_length"
    )
    optimize_translation: bool = setting(True, "the camera translation stays free after the camera stage")
    depth_weight: float = setting(100.0, "holds the depth to its first estimate in the camera stage", minimum=0)


@dataclass(frozen=True)
class BodyConfig:
    """The body model."""

    model: Literal["smplx", "smplh", "smpl", "mano", "flame"] = setting(
        "smplx", "model: body, hands and face; body and hands; body; one hand; head"
    )
    gender: Literal["auto", "neutral", "male", "female"] = setting("auto", "auto: decided for each person")
    models_dir: str | None = setting(None, "folder of body-model files, the only one that is searched")
    n_hand_components: int = setting(12, "principal components of each hand's pose", minimum=1, maximum=12)
    openpose_joint_definitions: bool = setting(
        True, "neck and hips where OpenPose puts them, not at the model's own joints"
    )


@dataclass(frozen=True)
class GenderConfig:
    """How body.gender auto is decided: by a label, else by the classifier where it is sure, else neutral."""

    labels: str | None = setting(
        None, "CSV with image, person, label; goes before gender_gt and gender_pd of the keypoint files"
    )
    classify: bool = setting(True, "ask the classifier about people without a label; false: they are neutral")
    checkpoint: str | None = setting(None, "classifier from `smplifyx train gender`; null: the shipped one")
    onnx: str | None = setting(None, "classifier as an ONNX file instead (3 x 224 x 224 -> male, female)")
    threshold: float | None = setting(
        None, "least probability for male or female; null: the classifier's own (0.9 for ONNX)", above=0.5
    )


@dataclass(frozen=True)
class PriorsConfig:
    """What is known about bodies before the photo is seen."""

    body_pose: Literal["vposer", "gmm", "gaussian", "l2", "none"] = setting("vposer", "prior on the 21 body joints")
    vposer_checkpoint: str | None = setting(
        None, "trained VPoser: ours or the official v1 or v2; null: the shipped one"
    )
    vposer_residual: float = setting(
        2.0,
        "how far poses may leave what VPoser decodes, in what it misses of poses; (paper) 0: not at all",
        minimum=0,
    )
    lifting_checkpoint: str | None = setting(
        None, "network from `smplifyx train lifting`, for objective.lifting; null: the shipped one"
    )
    gmm_file: str | None = setting(None, "mixture of Gaussians (.npz, or gmm_08.pkl); null: the shipped one")

    @property
    def file(self) -> Path | None:
        """The file of the chosen prior; None for the shipped one."""
        name = {"vposer": self.vposer_checkpoint, "gmm": self.gmm_file}.get(self.body_pose)
        return None if name is None else Path(name)


@dataclass(frozen=True)
class ObjectiveConfig:
    """The keypoint term and the bending term."""

    scale: Literal["person", "image"] = setting(
        "person", "errors are measured against the person's size, or (paper) the image's height; either is 1000 units"
    )
    rho: float = setting(100.0, "scale of the robust keypoint error, in those units", above=0)
    ignored_keypoints: tuple[int, ...] = setting((), "canonical keypoints without a say", minimum=0, maximum=134)
    upright: float = setting(
        75.0, "holds the trunk upright towards the camera, which one photo hardly shows", minimum=0
    )
    standing: float = setting(
        80.0, "the same for trunk and legs of people whose legs look straight or are not seen", minimum=0
    )
    lifting: float = setting(
        4.0, "holds body joints to where motion capture expects them behind these keypoints; (paper) 0", minimum=0
    )
    bending: float = setting(3.17, "bending term of elbows and knees, relative to the body-pose weight", minimum=0)


@dataclass(frozen=True)
class StartsConfig:
    """The poses from which a fit starts; the best is kept."""

    headings: int | Literal["auto"] = setting(
        "auto",
        "so many, evenly spread; auto: the one that the keypoints tell, or up to four",
        minimum=1,
    )
    select_after_stage: int = setting(3, "the best start is chosen after this stage, counted from 1", minimum=1)
    depth_flips: int = setting(
        4,
        "so many poses with limbs or trunk mirrored or levelled in depth compete with the best start, one stage long",
        minimum=0,
        maximum=20,
    )
    undo_swaps: float | None = setting(
        0.7,
        "arms or legs whose left and right the detector exchanged with this probability are put right; null: never",
        above=0,
        maximum=1,
    )
    side_view_threshold: float | None = setting(
        None, "also start turned by 180 degrees when the shoulders are closer than this, pixels", above=0
    )


@dataclass(frozen=True)
class Stage:
    """The weights of one stage. Weights of priors are squared in the objective, as in the paper's tables."""

    body_pose: float = setting(12.0, "body-pose prior", minimum=0)
    shape: float = setting(8.0, "shape coefficients", minimum=0)
    expression: float = setting(5.0, "expression coefficients", minimum=0)
    hand_pose: float = setting(4.78, "hand poses", minimum=0)
    jaw_pose: tuple[float, float, float] = setting((47.8, 478.0, 478.0), "jaw rotation, by axis", minimum=0)
    eye_pose: float = setting(4.78, "eye rotations", minimum=0)
    hand_keypoints: float = setting(0.0, "factor on hand keypoints (body keypoints have 1)", minimum=0)
    face_keypoints: float = setting(0.0, "factor on face keypoints (body keypoints have 1)", minimum=0)
    collision: float = setting(0.0, "self-collision (not squared)", minimum=0)
    max_iterations: int | None = setting(None, "null: optimizer.max_iterations", minimum=1)
    tolerance: float | None = setting(None, "null: optimizer.tolerance", minimum=0)


def _default_stages() -> tuple[Stage, ...]:
    """The paper's annealing with weights for our body and priors: less trust in the keypoints at the end."""
    early = Stage(
        body_pose=404.0, shape=100.0, expression=100.0, hand_pose=404.0, jaw_pose=(4040.0, 40400.0, 40400.0),
        eye_pose=404.0,
    )  # fmt: skip
    return (
        early,
        replace(early, shape=50.0, expression=50.0),
        Stage(body_pose=30.0, shape=10.0, expression=10.0, hand_pose=57.4, jaw_pose=(574.0, 5740.0, 5740.0),
              eye_pose=57.4),
        Stage(hand_keypoints=0.1, collision=1.0),
        Stage(hand_keypoints=2.0, face_keypoints=2.0, collision=100.0),
    )  # fmt: skip


@dataclass(frozen=True)
class OptimizerConfig:
    """The batched L-BFGS."""

    max_iterations: int = setting(200, "at most so many a stage", minimum=1)
    tolerance: float = setting(1e-3, "a person is done when the loss falls by less than this fraction", minimum=0)
    patience: int = setting(3, "so many small steps in a row, as one alone may be an accident", minimum=1)
    gradient_tolerance: float = setting(1e-9, "a person is done when no gradient entry is larger", minimum=0)
    history_size: int = setting(20, "pairs of steps and gradients kept", minimum=1)


@dataclass(frozen=True)
class CollisionConfig:
    """The self-collision term."""

    enabled: bool = setting(True, "keep the body from passing through itself")
    cone_height: float = setting(0.001, "sigma of the conic distance field, metres; (paper) 0.0001", above=0)
    penalize_outside: bool = setting(True, "vertices of colliding triangles pay just above the other's surface too")
    exponent: Literal[4, 8] = setting(4, "power of the field: 4 in the paper, 8 in its released code")
    rounds: int = setting(
        4,
        "so many minimisations, each with the pairs that collide at its start, come before one with those of each "
        "step; (paper) 0",
        minimum=0,
    )
    round_cone_height: float = setting(0.01, "cone_height of those rounds", above=0)
    max_loss_increase: float | None = setting(
        0.5,
        "a body stays as it is where clearing it makes the rest of the objective worse by more than this share; null "
        "(paper): any rise is taken",
        above=0,
    )
    margin: float = setting(0.002, "metres that a vertex may move before candidates are searched again", minimum=0)
    max_pairs: int = setting(32768, "at most so many candidate pairs a person; bounds the memory", minimum=1)
    ignored_parts: tuple[str, ...] = setting(
        (
            "spine3-left_shoulder", "spine3-right_shoulder", "spine2-left_shoulder", "spine2-right_shoulder",
            "left_hip-right_hip", "neck-jaw",
        ),
        "parts that may overlap besides adjacent ones, by joint",
    )  # fmt: skip
    part_segmentation: str | None = setting(
        None, "parts by triangle: smplx_parts_segm.pkl; null: by the joint that moves a triangle most"
    )


@dataclass(frozen=True)
class OutputConfig:
    """What is written."""

    folder: str = setting("output", "where everything goes")
    save_mesh: bool = setting(True, "write the meshes")
    mesh_format: Literal["obj", "ply", "glb"] = setting("obj", "file format of the meshes")
    save_pickle: bool = setting(False, "also write parameters in SMPLify-X's pickle layout")
    render: bool = setting(True, "draw the body over the photo")
    side_view: bool = setting(True, "draw the body from the side too, next to the overlay")
    max_render_size: int = setting(1024, "longer side of the pictures, pixels", minimum=16)
    overwrite: bool = setting(False, "fit people again who have a result already")


@dataclass(frozen=True)
class RunConfig:
    """Where and how it runs."""

    device: Literal["auto", "cpu", "cuda"] = setting("auto", "auto: a GPU if there is one")
    dtype: Literal["float32", "float64"] = setting("float32", "precision of the arithmetic")
    batch_size: int = setting(32, "people fitted at the same time", minimum=1)
    seed: int = setting(0, "seed of everything random", minimum=0)
    num_shards: int = setting(1, "the photos are dealt out to so many runs", minimum=1)
    shard_index: int = setting(0, "which of them this run is, counted from 0", minimum=0)
    threads: int | None = setting(None, "processor threads; null: 1", minimum=1)
    verbose: bool = setting(False, "more lines, the losses of each person's stages among them, and tracebacks")


@dataclass(frozen=True)
class Config:
    """The complete configuration of a run."""

    input: InputConfig = field(default_factory=InputConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    body: BodyConfig = field(default_factory=BodyConfig)
    gender: GenderConfig = field(default_factory=GenderConfig)
    priors: PriorsConfig = field(default_factory=PriorsConfig)
    objective: ObjectiveConfig = field(default_factory=ObjectiveConfig)
    starts: StartsConfig = field(default_factory=StartsConfig)
    stages: tuple[Stage, ...] = setting(_default_stages(), "weights, stage by stage; a prior's weight is squared")
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    collision: CollisionConfig = field(default_factory=CollisionConfig)
    output: OutputConfig = field(default_factory=OutputConfig)
    run: RunConfig = field(default_factory=RunConfig)


def check(config: Config, source: str = "configuration") -> None:
    """Rejects settings that are fine alone but not together; raises :class:`ConfigError`."""
    if not config.stages:
        raise ConfigError(source, "stages", "expected at least one stage")
    if config.starts.select_after_stage > len(config.stages):
        problem = (
            f"expected at most the number of stages ({len(config.stages)}), got {config.starts.select_after_stage}"
        )
        raise ConfigError(source, "starts.select_after_stage", problem)
    if config.gender.checkpoint is not None and config.gender.onnx is not None:
        raise ConfigError(source, "gender.onnx", "expected gender.checkpoint or gender.onnx, not both")
    _check_part_model(config, source)
    if config.run.shard_index >= config.run.num_shards:
        problem = f"expected less than run.num_shards ({config.run.num_shards}), got {config.run.shard_index}"
        raise ConfigError(source, "run.shard_index", problem)


def _check_part_model(config: Config, source: str) -> None:
    """Rejects stages and terms with which a hand or a head alone cannot be fitted."""
    weight = {"mano": "hand_keypoints", "flame": "face_keypoints"}.get(config.body.model)
    if weight is None:
        return
    hint = f"for body.model {config.body.model}; the configuration fit_{config.body.model} has settings that suit it"
    for number, stage in enumerate(config.stages):
        if not getattr(stage, weight):
            raise ConfigError(source, f"stages.{number}.{weight}", f"expected more than 0 {hint}")
    if config.collision.enabled:
        raise ConfigError(source, "collision.enabled", f"expected false {hint}")
