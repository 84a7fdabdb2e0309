"""Whole fits on a simulated GPU: no operation mixes devices, the numbers are the CPU's, and waits are rare."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch

from smplifyx.body.files import load_body_model_data
from smplifyx.body.model import BodyModel
from smplifyx.body.search import find_body_model
from smplifyx.collision import search
from smplifyx.collision.self_collision import SelfCollision
from smplifyx.collision.skinning import bone_states
from smplifyx.config import Config
from smplifyx.evaluation.speed import counted_evaluations
from smplifyx.fitting import Fitter, solver
from smplifyx.gender.classifier import load_classifier
from smplifyx.gender.face import FaceClassifier
from smplifyx.keypoints import Observation
from smplifyx.rotations import axis_angle_to_matrix
from smplifyx.synthetic.documents import observation_of
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people
from tests.simulated_gpu import MixedDevicesError, simulated_device, simulated_gpu

#: Waits for each evaluation at most: rows that need a matrix are asked for up to three times.
_WAITS_WITH_MATRICES = 4
_SHORT = {"optimizer.max_iterations": 3, "starts.depth_flips": 1, "collision.rounds": 1}


def _people(number: int) -> list[Observation]:
    data = load_body_model_data(find_body_model("smplx", "neutral"))
    people = synthetic_people(data, number, SyntheticOptions(seed=5))
    return [observation_of(person, with_camera=True) for person in people]


def test_mixed_devices_are_found() -> None:
    with simulated_gpu():
        there, here = torch.zeros(3, device=simulated_device()), torch.zeros(3)
        with pytest.raises(MixedDevicesError):
            there + here
        with pytest.raises(RuntimeError):
            there.numpy()
        assert (there + 1.0).cpu().tolist() == [1.0, 1.0, 1.0]


def test_waits_are_counted() -> None:
    with simulated_gpu() as count:
        x = torch.arange(4.0).to(simulated_device())
        started = count.n_waits
        y = (x + 1.0)[1:]
        y[torch.zeros(3, dtype=torch.bool, device=simulated_device())] = 0.0
        assert count.n_waits == started
        for wait in (
            lambda: float(y[0]),
            lambda: y[y > 0],
            y.nonzero,
            y.cpu,
            lambda: y[[0, 2]],
            lambda: bool(y.any()),
        ):
            before = count.n_waits
            wait()
            assert count.n_waits == before + 1


class _Run:
    """A fit on the simulated GPU: results, evaluations, and waits inside and outside of the optimiser."""

    def __init__(self, people: list[Observation], settings: dict[str, Any], dtype: str) -> None:
        with (
            simulated_gpu() as count,
            counted_evaluations() as evaluations,
            mock.patch.object(search, "_CUDA_ROWS", 3),
        ):
            fitter = Fitter(overrides=settings, device=simulated_device(), dtype=dtype)
            built, inside = count.n_waits, 0
            counting = solver.minimize

            def minimize(*arguments: Any, **options: Any) -> Any:
                nonlocal inside
                before = count.n_waits
                result = counting(*arguments, **options)
                inside += count.n_waits - before
                return result

            with mock.patch.object(solver, "minimize", minimize):
                self.results = fitter.fit(people)
            self.inside, self.outside = inside, count.n_waits - built - inside
            self.evaluations = evaluations.calls


@pytest.mark.slow
def test_a_whole_fit_has_the_numbers_of_the_cpu() -> None:
    people = _people(2)
    settings = {**_SHORT, "collision.enabled": False, "optimizer.gauss_newton": False}
    run = _Run(people, settings, "float64")
    for expected, found in zip(Fitter(overrides=settings, dtype="float64").fit(people), run.results, strict=True):
        assert found.n_evaluations == expected.n_evaluations
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-6)
        np.testing.assert_allclose(found.joints, expected.joints, atol=1e-5)
        np.testing.assert_allclose(found.stage_losses, expected.stage_losses, rtol=1e-6)
    assert run.inside <= run.evaluations


@pytest.mark.slow
def test_a_fit_with_matrices_has_the_losses_of_the_cpu() -> None:
    people, settings = _people(2), {**_SHORT, "collision.enabled": False}
    run = _Run(people, settings, "float64")
    for expected, found in zip(Fitter(overrides=settings, dtype="float64").fit(people), run.results, strict=True):
        np.testing.assert_allclose(found.stage_losses, expected.stage_losses, rtol=0.01)
    assert run.inside <= _WAITS_WITH_MATRICES * run.evaluations


@pytest.mark.slow
def test_a_whole_fit_with_collisions_does_not_mix_devices() -> None:
    # Kernels sum in another order, and where bodies part decides about much: the numbers differ.
    run = _Run(_people(2), _SHORT, "float32")
    assert all(result.status == "ok" and result.penetration_mm >= 0.0 for result in run.results)
    assert run.inside <= _WAITS_WITH_MATRICES * run.evaluations


def test_collision_energies_are_those_of_the_cpu() -> None:
    data = load_body_model_data(find_body_model("smplx", "neutral"))
    generator = torch.Generator().manual_seed(2)
    angles = 0.5 * torch.randn(2, data.n_joints, 3, generator=generator)

    def evaluate(device: torch.device | str) -> list[np.ndarray]:
        model = BodyModel.from_data(data, device=device)
        collision = SelfCollision(data, model, Config().collision)
        rotations = axis_angle_to_matrix(angles.to(device))
        betas, expression = (torch.zeros(2, 10, device=device) for _ in range(2))
        pairs = collision.find(betas, expression, rotations)
        contacts, touching = collision.contacts(betas, expression, rotations)
        assert touching.all()
        rotations = rotations.detach().requires_grad_()
        joints = model.restrict(torch.zeros(1, dtype=torch.int64, device=device))
        with torch.enable_grad():
            bones = bone_states(joints, betas, expression, rotations, joints(betas, expression, rotations))
            energies = collision.contact_term(contacts, 1.0)(bones, torch.arange(2, device=device))
            (gradient,) = torch.autograd.grad(energies.sum(), rotations)
        parts = pairs.rows, pairs.triangles, contacts.found.pairs, contacts.groups, energies, gradient
        return [part.detach().cpu().numpy() for part in parts]

    expected = evaluate("cpu")
    with simulated_gpu(), mock.patch.object(search, "_CUDA_ROWS", 2):
        found = evaluate(simulated_device())
    order, other = (np.lexsort((*part[1].T, part[0])) for part in (expected, found))
    assert len(expected[0]) > 100
    for place in (0, 1):
        np.testing.assert_array_equal(found[place][other], expected[place][order])
    for place in (2, 3):  # but for vertices above an edge of two triangles
        assert found[place].shape == expected[place].shape
        assert (found[place] == expected[place]).mean() > 0.99
    np.testing.assert_allclose(found[4], expected[4], rtol=1e-4)
    np.testing.assert_allclose(found[5], expected[5], atol=1e-4 * np.abs(expected[5]).max())


@pytest.mark.slow
def test_waits_do_not_grow_with_the_people() -> None:
    settings = {**_SHORT, "optimizer.max_iterations": 1, "collision.enabled": False}
    _Run(_people(1), settings, "float32")  # constants are copied once
    few, many = (_Run(number * _people(1), settings, "float32") for number in (1, 7))  # others may go other ways
    assert many.outside <= few.outside
    assert many.inside <= few.inside + 2 * (many.evaluations - few.evaluations)


@pytest.mark.slow
@pytest.mark.parametrize("prior", ["gmm", "gaussian", "l2"])
def test_other_priors_and_models_without_lifting_do_not_mix_devices(prior: str) -> None:
    settings = {
        "optimizer.max_iterations": 1,
        "priors.body_pose": prior,
        "lifting.enabled": False,
        "collision.enabled": False,
        "starts.depth_flips": 0,
    }
    (result,) = _Run(_people(1), settings, "float32").results
    assert np.isfinite(result.loss)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "side"), [("smpl", None), ("mano", "left"), ("flame", None)])
def test_other_models_do_not_mix_devices(model: str, side: str | None) -> None:
    settings = {"optimizer.max_iterations": 1, "collision.enabled": False}
    with simulated_gpu():
        fitter = Fitter(model, side=side, overrides=settings, device=simulated_device())
        (result,) = fitter.fit(_people(1))
        (vertices,) = fitter.vertices([result])
    assert np.isfinite(result.loss)
    assert np.isfinite(vertices).all()


def test_gender_classifiers_do_not_mix_devices() -> None:
    crops = np.random.default_rng(3).integers(0, 256, (2, 256, 256, 3), dtype=np.uint8)
    for make in (FaceClassifier, lambda device: load_classifier(None, device)):
        expected = make("cpu")
        pictures = crops[:, : expected.side, : expected.side]
        with simulated_gpu(), torch.no_grad():
            classifier = make(simulated_device())
            # The simulation does not reach into inference mode, which changes no number.
            found = type(classifier).classify.__wrapped__(classifier, pictures)
        np.testing.assert_allclose(found.probabilities, expected.classify(pictures).probabilities, atol=1e-5)


def test_a_batch_that_does_not_fit_into_the_memory_is_halved() -> None:
    people = _people(7)
    fitter = Fitter(overrides={"optimizer.max_iterations": 1, "collision.enabled": False, "starts.depth_flips": 0})
    expected, sizes, together = fitter.fit(people), [], fitter._fit_together

    def fit_together(observations: Any, *others: Any) -> Any:
        sizes.append(len(observations))
        if len(observations) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return together(observations, *others)

    with mock.patch.object(fitter, "_fit_together", fit_together):
        found = fitter.fit(people)
    assert sizes == [7, 4, 2, 2, 3, 2, 1]
    assert [one.loss for one in found] == [one.loss for one in expected]
    assert fitter.batch_size == 2
