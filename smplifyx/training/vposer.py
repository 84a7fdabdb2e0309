"""Training of the body-pose network, and figures of a trained one on held-out people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from smplifyx.body.data import BodyModelData
from smplifyx.errors import InputError
from smplifyx.priors.pose_space import FloatArray
from smplifyx.priors.vposer import VPoser, VPoserWeights, residual_rotations
from smplifyx.priors.vposer_checkpoints import load_vposer, save_vposer, shipped_weights
from smplifyx.training.poses import (
    MotionCapture,
    PoseSampler,
    load_motion_capture,
    pose_batch,
    split_validation,
    standing_pose,
    training_body,
)
from smplifyx.training.settings import VPoserConfig
from smplifyx.training.trainer import Course, Monitor, Panel, Task, Trainer, run_to_end, write_report
from smplifyx.training.vposer_network import PoseSurface, Posterior, VPoserNetwork, loss_terms, rotation_angle

#: Added to the standard deviation of each residual angle (radians): some joints hardly move in the data.
_RESIDUAL_FLOOR = np.radians(0.7)
#: Number of poses for the residual covariance, and for the report.
_N_RESIDUAL_POSES, _N_POSES = 8000, 2000
#: Vertices of the report's surface.
_N_REPORT_POINTS = 1000
_N_PERMUTATIONS = 999
_PER_LINE = 8


@dataclass(frozen=True)
class PoseCoder:
    """Encoder and decoder of an autoencoder of poses.

    Attributes:
        encode: maps body poses [B, 63] (radians) to the posterior of their codes; ``sd`` is 0 if unknown.
        decode: maps codes [B, Z] to rotations [B, 21, 3, 3].
    """

    encode: Callable[[Tensor], Posterior]
    decode: Callable[[Tensor], Tensor]


def network_coder(network: VPoserNetwork) -> PoseCoder:
    """Return the halves of a network as it is trained."""
    return PoseCoder(network.encode, network.decode)


def prior_coder(prior: VPoser) -> PoseCoder:
    """Return the halves of the form used by fits, whose encoder has no standard deviations."""

    def encode(axis_angle: Tensor) -> Posterior:
        mean = prior.encode(axis_angle)
        return Posterior(mean, torch.zeros_like(mean))

    return PoseCoder(encode, lambda z: prior.decode(z).rotations)


@dataclass(frozen=True)
class TwoSampleTest:
    """Permutation test of equal distributions by the energy distance (Szekely & Rizzo 2013).

    Attributes:
        distance: E|X - Y| minus half of E|X - X'| + E|Y - Y'|; 0 for equal distributions.
        null_distance: its 95th percentile over random assignments of the points to the samples.
        p_value: share of such assignments with as large a distance. Frames of one recording are dependent, which
            makes it smaller than for independent poses.
    """

    distance: float
    null_distance: float
    p_value: float


def energy_test(
    x: FloatArray, y: FloatArray, rng: np.random.Generator, n_permutations: int = _N_PERMUTATIONS
) -> TwoSampleTest:
    """Permutation test of samples [N, Z] and [M, Z]."""
    points = np.concatenate([x, y])
    signs = np.concatenate([np.full(len(x), 1.0 / len(x)), np.full(len(y), -1.0 / len(y))])
    assignments = np.stack([signs, *(rng.permutation(signs) for _ in range(n_permutations))], axis=1)
    # With these signs, -0.5 s'Ds is the energy distance of the samples, D the distances between all points.
    values = -0.5 * np.einsum("id,id->d", assignments, cdist(points, points) @ assignments)
    distance, null = float(values[0]), values[1:]
    # Rounding must not decide whether an assignment equals the true one.
    as_large = int((null >= distance - 1e-12).sum())
    return TwoSampleTest(distance, float(np.percentile(null, 95)), (1 + as_large) / (1 + n_permutations))


@dataclass(frozen=True)
class VPoserReport:
    """Reconstruction by the mean code, and the distribution of the codes.

    Attributes:
        n_poses: number of poses.
        angle_deg: mean angle between true and decoded joint rotations.
        vertex_mm: mean distance of surface points, the pelvis fixed.
        worst_angle_deg: the 95th percentile, over poses, of their mean angle.
        random_codes: whether the codes are drawn from the posteriors or are their means.
        mean: [Z] of the codes; 0 for a standard normal.
        variance: [Z] of the codes; 1 for a standard normal.
        squared_norm: mean |z|^2, which is Z for a standard normal.
        normality: the codes against as many draws of a standard normal.
    """

    n_poses: int
    angle_deg: float
    vertex_mm: float
    worst_angle_deg: float
    random_codes: bool
    mean: FloatArray
    variance: FloatArray
    squared_norm: float
    normality: TwoSampleTest

    def lines(self) -> list[str]:
        """Return one line per figure, then means and variances of all dimensions."""
        test = self.normality
        return [
            f"{self.n_poses} poses",
            f"angle_deg        {self.angle_deg:.2f}, 95th percentile {self.worst_angle_deg:.2f}",
            f"vertex_mm        {self.vertex_mm:.1f}",
            f"codes            {'drawn from the posteriors' if self.random_codes else 'means of the posteriors'}",
            f"mean             {self.mean.min():.2f} to {self.mean.max():.2f}",
            f"variance         {self.variance.min():.2f} to {self.variance.max():.2f}",
            f"squared_norm     {self.squared_norm:.1f} of {len(self.mean)} dimensions",
            f"energy_distance  {test.distance:.4f} from a standard normal "
            f"({test.null_distance:.4f} at most in 95 of 100 cases if it were one), p = {test.p_value:.3f}",
            *_listed("means", self.mean),
            *_listed("variances", self.variance),
        ]


def _listed(name: str, values: FloatArray) -> list[str]:
    texts = [f"{value:6.2f}" for value in values]
    rows = [" ".join(texts[start : start + _PER_LINE]) for start in range(0, len(texts), _PER_LINE)]
    return [f"{name if number == 0 else '':<16} {row}" for number, row in enumerate(rows)]


@torch.no_grad()
def report(coder: PoseCoder, surface: PoseSurface, data: MotionCapture, seed: int = 0) -> VPoserReport:
    """Compute figures for poses drawn from ``data`` by its weights."""
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(data), _N_POSES, p=data.weights)
    batch = pose_batch(data.body_pose[chosen])
    posterior = coder.encode(batch.axis_angle)
    decoded = coder.decode(posterior.mean)
    angle = np.degrees(rotation_angle(decoded, batch.rotations).numpy()).mean(1)
    distance = (surface(decoded) - surface(batch.rotations)).norm(dim=-1)
    codes = posterior.mean.numpy() + posterior.sd.numpy() * rng.normal(size=posterior.sd.shape)
    return VPoserReport(
        n_poses=_N_POSES,
        angle_deg=float(angle.mean()),
        vertex_mm=1000.0 * distance.mean().item(),
        worst_angle_deg=float(np.percentile(angle, 95)),
        random_codes=bool(posterior.sd.any()),
        mean=codes.mean(0),
        variance=codes.var(0),
        squared_norm=float(np.square(codes).sum(1).mean()),
        normality=energy_test(codes, rng.normal(size=codes.shape), rng),
    )


class VPoserTask(Task):
    """The body-pose network with its data.

    Args:
        body: the body model of the surface term.
        training, validation: the poses.
        config: all settings.
    """

    panels = (
        Panel("loss", {"training": "training", "validation": "validation"}, log=True),
        Panel(
            "validation errors, random codes",
            {"surface_mm": "surface, mm", "rotation_deg": "rotation, degrees"},
            (0, None),
        ),
        Panel("validation divergence", {"divergence": "divergence, nats"}, (0, None)),
    )
    network: VPoserNetwork

    def __init__(
        self, body: BodyModelData, training: MotionCapture, validation: MotionCapture, config: VPoserConfig
    ) -> None:
        run = config.run
        torch.manual_seed(run.seed)
        self._config = config
        self.network = VPoserNetwork(run.n_latent, run.n_hidden)
        self._surface = PoseSurface(body, run.n_surface_points)
        self._sampler = PoseSampler(training, config.data, run.seed)
        self.rng = self._sampler.rng
        self._validation = PoseSampler(validation, config.data, run.seed).draw(run.n_validation)
        self._standing = pose_batch(standing_pose(training)[None]).rotations[0]
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(), run.learning_rate, weight_decay=config.loss.weight_decay
        )
        self.schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(
            self.optimizer, factor=0.5, patience=run.patience - 1
        )

    def losses(self) -> Iterator[Tensor]:
        """Yield the losses of the steps of one epoch."""
        for _ in range(self._config.run.steps_per_epoch):
            batch = self._sampler.draw(self._config.run.batch_size)
            yield loss_terms(self.network, self._surface, batch, self._standing).total(self._config.loss)

    @torch.no_grad()
    def validate(self, network: nn.Module) -> dict[str, float]:
        """Return the loss and its terms, with the same random codes each time."""
        assert isinstance(network, VPoserNetwork)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._config.run.seed)
            terms = loss_terms(network, self._surface, self._validation, self._standing)
        return {
            "validation": terms.total(self._config.loss).item(),
            "divergence": terms.divergence.item(),
            "surface_mm": 1000.0 * terms.surface.item(),
            "rotation_deg": float(np.degrees(terms.rotation.item())),
        }

    def describe(self, metrics: Mapping[str, float]) -> str:
        """Return the terms of the validation loss."""
        return (
            f"{metrics['rotation_deg']:.2f} degrees, {metrics['surface_mm']:.1f} mm, {metrics['divergence']:.1f} nats"
        )


def vposer_trainer(
    body: BodyModelData, training: MotionCapture, validation: MotionCapture, config: VPoserConfig
) -> Trainer:
    """Create the trainer of a body-pose network; the arguments are those of :class:`VPoserTask`."""
    run = config.run
    task = VPoserTask(body, training, validation, config)
    return Trainer(task, Course(run.epochs, run.steps_per_epoch, run.stop_after), config)


def with_residual(weights: VPoserWeights, training: MotionCapture, config: VPoserConfig) -> VPoserWeights:
    """Return the weights with the residual covariance of poses drawn as in training."""
    poses = PoseSampler(training, config.data, config.run.seed).draw(_N_RESIDUAL_POSES).axis_angle
    return replace(weights, residual_covariance=residual_covariance(VPoser(weights), poses))


@torch.no_grad()
def residual_covariance(prior: VPoser, body_pose: Tensor) -> FloatArray:
    """Second moment [63, 63] (radians²) of the rotations from decoded to true poses [N, 63]."""
    residual = residual_rotations(prior.decode(prior.encode(body_pose)).rotations, body_pose).double().numpy()
    return np.asarray(residual.T @ residual / len(residual) + _RESIDUAL_FLOOR**2 * np.eye(residual.shape[1]))


def train_vposer(
    data: Path,
    output: Path,
    config: VPoserConfig,
    resume: bool = False,
    monitor: Monitor | None = None,
    models: Path | None = None,
) -> list[str]:
    """Train the body-pose network; return the lines of its report on held-out people.

    Args:
        data: motion capture, see :func:`~smplifyx.training.poses.load_motion_capture`.
        output: folder for ``vposer.npz``, ``report.txt`` and the files of the course.
        config: all settings.
        resume: continue a stopped run.
        monitor: receives remarks and progress.
        models: the only folder to search for the body model.

    Raises:
        InputError: the data, the body model or the state to resume from are unusable.
    """
    monitor, options = monitor or Monitor(), config.data
    seen, held_out = load_motion_capture(data, options.fps).split_subjects(options.held_out)
    training, validation = split_validation(seen, data, options, config.run.seed)
    monitor.note(f"{len(training)} training, {len(validation)} validation, {len(held_out)} held out")
    body, path = training_body(models), output / "vposer.npz"
    trainer = vposer_trainer(body, training, validation, config)
    source = training.origin(data, options)
    run_to_end(trainer, output, resume, monitor, lambda: save_vposer(path, trainer.best_network().folded(source)))
    network: VPoserNetwork = trainer.best_network()
    save_vposer(path, with_residual(network.folded(source), training, config))
    unseen = held_out if len(held_out) else validation
    coder = network_coder(network)
    lines = report(coder, PoseSurface(body, _N_REPORT_POINTS), unseen, config.run.seed).lines()
    write_report(output, lines)
    return lines


def evaluate_vposer(
    data: Path,
    checkpoint: Path | None,
    config: VPoserConfig,
    models: Path | None = None,
    monitor: Monitor | None = None,
) -> list[str]:
    """Return the lines of the report of a trained network on held-out people.

    Args:
        data: motion capture.
        checkpoint: the network; None: the one that ships with the package.
        config: names the held-out people.
        models: the only folder to search for the body model.
        monitor: receives remarks.

    Raises:
        InputError: a file is unusable, or no held-out subject is in the data.
    """
    _, held_out = load_motion_capture(data, config.data.fps).split_subjects(config.data.held_out)
    if not len(held_out):
        raise InputError(data, "has no held-out subject; name subjects in the setting data.held_out")
    prior = VPoser(load_vposer(checkpoint or shipped_weights()))
    (monitor or Monitor()).note(prior.source)
    surface = PoseSurface(training_body(models), _N_REPORT_POINTS)
    return report(prior_coder(prior), surface, held_out, config.run.seed).lines()
