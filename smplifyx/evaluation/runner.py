"""Fit people for evaluations, and keep fits on disk so that an interrupted evaluation resumes."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

import smplifyx
from smplifyx.body.data import BodyModelData
from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyOutput
from smplifyx.body.regressor import OPENPOSE_DEFINITIONS, SMPLX_DEFINITIONS, KeypointRegressor
from smplifyx.body.search import find_body_model
from smplifyx.camera import resolve_cameras
from smplifyx.config import Config, RunOptions
from smplifyx.fitting.fitter import Fitter
from smplifyx.fitting.people import fit_people, group_people
from smplifyx.keypoints import Observation
from smplifyx.pipeline.digests import input_digest, settings_digest
from smplifyx.result import FitResult, load_result
from smplifyx.skeleton import SIDES

FloatArray = NDArray[np.float64]

_PACKAGE = Path(smplifyx.__file__).parent
#: The parts of the package, besides its own modules, that decide how a fit comes out.
_DECISIVE_CODE = ("body", "collision", "config", "fitting", "keypoints", "lifting", "optim", "priors", "data")
_DIGEST_LENGTH = 12

#: Called with the number of people fitted since the last call.
Progress = Callable[[int], None]


@dataclass(frozen=True)
class FittedPerson:
    """A fit in the camera frame, translation included, metres.

    Attributes:
        result: the fit.
        vertices: [V, 3].
        joints: [J, 3].
    """

    result: FitResult
    vertices: FloatArray
    joints: FloatArray

    @property
    def succeeded(self) -> bool:
        """True where all numbers are finite."""
        return bool(np.isfinite(self.vertices).all() and np.isfinite(self.joints).all())


class Runner:
    """Fit people, group by group of those who share a body model.

    Args:
        store: folder of kept fits; None to keep none.
        device: where to compute.
    """

    def __init__(self, store: Path | None = None, device: torch.device | str = "cpu") -> None:
        self._store, self._device = store, device

    def fit(
        self,
        config: Config,
        observations: Sequence[Observation],
        bodies: Sequence[str],
        label: str = "",
        progress: Progress | None = None,
    ) -> list[FittedPerson]:
        """Fit people in batches; those whose fit is kept are not fitted again.

        Args:
            config: settings.
            observations: the people.
            bodies: the gender of each person's body model, or the side of a hand.
            label: name of the subfolder of kept fits.
            progress: called with the number of people that are done.

        Returns:
            One fit per observation, in their order.

        Raises:
            InputError: a body model is missing or damaged.
        """
        observations = resolve_cameras(observations, config.camera)
        paths = {body: _model_file(config, body) for body, _ in group_people(bodies)}
        kept = [self._kept(label, config, one, paths[body]) for one, body in zip(observations, bodies, strict=True)]
        todo = [number for number, file in enumerate(kept) if file is None or not file.is_file()]
        if progress is not None:
            progress(len(observations) - len(todo))

        @functools.cache
        def fitter_of(body: str) -> Fitter:
            return Fitter(load_model(paths[body], _gender(body)), config=config, device=self._device)

        results = {number: load_result(file) for number, file in enumerate(kept) if file and file.is_file()}
        batches = fit_people([observations[k] for k in todo], [bodies[k] for k in todo], fitter_of)
        for batch in batches:
            for place, result in zip(batch.people, batch.results, strict=True):
                number = todo[place]
                results[number] = _keep(result, kept[number])
            if progress is not None:
                progress(len(batch.people))
        fits: dict[int, FittedPerson] = {}
        for body, people in group_people(bodies):
            fits |= zip(people, _placed([results[k] for k in people], fitter_of(body)), strict=True)
        return [fits[number] for number in range(len(observations))]

    def _kept(self, label: str, config: Config, observation: Observation, body: Path) -> Path | None:
        """The file of a fit, named after everything that decides it, the program's code included."""
        if self._store is None:
            return None
        decisive = {
            "code": code_digest(),
            "settings": settings_digest(config, RunOptions()),
            "body": [str(body.resolve()), body.stat().st_size, body.stat().st_mtime_ns],
            "camera": repr(observation.camera),
            "person": input_digest(observation, None),
        }
        digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:_DIGEST_LENGTH]
        side = f"_{observation.side}" if observation.side else ""
        return self._store / label / f"{observation.stem}{side}_{digest}.npz"


def fit_with_body(data: BodyModelData, config: Config, observations: Sequence[Observation]) -> list[FittedPerson]:
    """Fit people in batches with a loaded body model; the i-th fit belongs to the i-th observation."""
    fitter = Fitter(data, config=config)
    return _placed(fitter.fit(observations), fitter)


@functools.lru_cache(maxsize=8)
def load_model(path: Path, gender: str) -> BodyModelData:
    """Load a body model; each file is read once."""
    return load_body_model_data(path, gender)


@functools.cache
def code_digest() -> str:
    """Digest of the code and the data that fits depend on."""
    files = [*_PACKAGE.glob("*.py")]
    for folder in _DECISIVE_CODE:
        files += [path for path in (_PACKAGE / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(str(path.relative_to(_PACKAGE)).encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:_DIGEST_LENGTH]


def model_keypoints(data: BodyModelData, config: Config, fit: FittedPerson) -> FloatArray:
    """Keypoints [135, 3] of a fit in the camera frame, metres; those of the face contour are approximate."""
    definitions = OPENPOSE_DEFINITIONS if config.body.openpose_joint_definitions else SMPLX_DEFINITIONS
    regressor = KeypointRegressor(data, definitions=definitions, dtype=torch.float64)
    points, corners = torch.as_tensor(fit.joints)[None], torch.as_tensor(fit.vertices)[None, regressor.vertices]
    # The contour alone needs the head's rotation, and no metric uses the contour: row 0 is as good as any.
    output = BodyOutput(points, corners, torch.eye(3, dtype=torch.float64).expand(1, points.shape[1], 3, 3))
    return np.asarray(regressor(output, torch.zeros(1, dtype=torch.int64))[0].numpy())


def _gender(body: str) -> str:
    return "neutral" if body in SIDES else body


def _model_file(config: Config, body: str) -> Path:
    side = body if body in SIDES else None
    return find_body_model(config.body.model, _gender(body), config.body.models_dir, side=side)


def _keep(result: FitResult, file: Path | None) -> FitResult:
    if file is None:
        return result
    result.save(file)
    return load_result(file)


def _placed(results: Sequence[FitResult], fitter: Fitter) -> list[FittedPerson]:
    return [
        FittedPerson(result, np.float64(mesh) + np.float64(result.camera_translation), np.float64(result.joints))
        for result, mesh in zip(results, fitter.vertices(results), strict=True)
    ]
