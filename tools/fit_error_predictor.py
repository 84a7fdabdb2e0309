"""Fit the shipped error predictor on synthetic people: surface error of a fit from its quality features.

The people take poses that the pose priors were trained on; --test takes people in held-out poses and prints how well
the estimate orders them. Nothing of the benchmarks is seen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from smplifyx.body.files import load_body_model_data
from smplifyx.body.search import find_body_model
from smplifyx.config import Config, load_config
from smplifyx.evaluation.runner import fit_with_body
from smplifyx.evaluation.scores import score
from smplifyx.evaluation.statistics import area_under_curve, worst_share
from smplifyx.fitting.quality import ErrorPredictor
from smplifyx.priors import HELD_OUT_SUBJECTS
from smplifyx.synthetic.documents import observation_of
from smplifyx.synthetic.people import SyntheticOptions, synthetic_people
from smplifyx.synthetic.poses import PosePool, held_out_poses, subjects_of

FloatArray = NDArray[np.float64]

SHIPPED = Path(__file__).parent.parent / "smplifyx/data/error_predictor.json"
#: Of the ridge regression, in units of the features' variance.
REGULARISATION = 0.02


def fitted(config: Config, poses: PosePool, count: int, seed: int) -> tuple[list[dict[str, float]], FloatArray]:
    """Features of synthetic people's fits and their surface errors [P], millimetres."""
    data = load_body_model_data(find_body_model("smplx", "neutral"))
    people = list(synthetic_people(data, count, SyntheticOptions(seed=seed), poses))
    observations = [observation_of(person) for person in people]
    fits = fit_with_body(data, config, observations)
    errors = [score(person, fit.vertices, fit.joints)["pa_v2v_mm"] for person, fit in zip(people, fits, strict=True)]
    return [fit.result.quality_features for fit in fits], np.array(errors)


def regressed(features: list[dict[str, float]], errors: FloatArray) -> ErrorPredictor:
    """Ridge regression of the logarithm of the error."""
    names = list(features[0])
    table = np.array([[one[name] for name in names] for one in features])
    mean, scale = table.mean(0), table.std(0) + 1e-6
    scaled, target = (table - mean) / scale, np.log(errors)
    normal = scaled.T @ scaled + REGULARISATION * len(errors) * np.eye(len(names))
    weights = np.linalg.solve(normal, scaled.T @ (target - target.mean())) / scale
    return ErrorPredictor(dict(zip(names, weights.tolist(), strict=True)), float(target.mean() - weights @ mean))


def main(arguments: Sequence[str] | None = None) -> None:
    """Fit, write and test the predictor."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mocap", type=Path, help="npz with body_pose, clip_index, clip_names")
    parser.add_argument("--people", type=int, default=600, metavar="N", help="to learn from")
    parser.add_argument("--test", type=int, default=200, metavar="N", help="people in held-out poses to test on")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--output", type=Path, default=SHIPPED)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    config = load_config(None, [])
    subjects = tuple(sorted(subjects_of(options.mocap) - set(HELD_OUT_SUBJECTS)))
    features, errors = fitted(config, held_out_poses(options.mocap, subjects), options.people, options.seed)
    model = regressed(features, errors)
    options.output.write_text(json.dumps({"intercept": model.intercept, "weights": model.weights}, indent=1) + "\n")
    sets = {f"{len(errors)} learned from": (features, errors)}
    if options.test:
        held_out = held_out_poses(options.mocap)
        sets[f"{options.test} held out"] = fitted(config, held_out, options.test, options.seed + 1)
    for name, (of_set, true) in sets.items():
        expected = np.array([model.expected_error(one) for one in of_set])
        area = area_under_curve(expected, worst_share(true, 0.1))
        correlation = np.corrcoef(np.log(expected), np.log(true))[0, 1]
        print(f"{name}: area under the curve for the worst tenth {area:.3f}, correlation {correlation:.2f}")


if __name__ == "__main__":
    main()
