"""Golden gate: fit fixed inputs with every shipped configuration, and compare two commits on one machine.

    python -m tests.golden inputs DIR            # write photos and keypoint files, once
    python -m tests.golden run DIR OUTPUT        # fit them with the checkout on PYTHONPATH
    python -m tests.golden compare OUTPUT OTHER  # differences of losses, joints and evaluations

The fits go through the command line and the result files, which stay the same while the code behind them changes. A
change of structure should leave the numbers as they are, up to rounding. Fits amplify rounding: a change in the order
of a sum may move single people by a millimetre.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np

#: Configurations, their inputs, and the options of each run.
RUNS: dict[str, tuple[str, list[str]]] = {
    "demo": ("demo", []),
    "smplx": ("people", []),
    "smplx_neutral": ("people", ["--gender", "neutral"]),
    "smplx_paper": ("few", ["--config", "fit_smplx_paper"]),
    "smplh": ("few", ["--model", "smplh"]),
    "smpl": ("few", ["--model", "smpl"]),
    "mano": ("few", ["--model", "mano"]),
    "flame": ("few", ["--model", "flame"]),
}
_N_PEOPLE = {"people": 8, "few": 2}


def write_inputs(folder: Path) -> None:
    """Write the demo's inputs and synthetic people as photos and keypoint files."""
    import smplifyx

    shutil.copytree(Path(smplifyx.__file__).parent / "data" / "demo", folder / "demo")
    from PIL import Image

    from smplifyx.body.files import load_body_model_data
    from smplifyx.body.search import find_body_model
    from smplifyx.synthetic.documents import write_openpose_json
    from smplifyx.synthetic.people import SyntheticOptions, synthetic_people

    data = load_body_model_data(find_body_model("smplx", "neutral"))
    for name, number in _N_PEOPLE.items():
        for part in ("images", "keypoints"):
            (folder / name / part).mkdir(parents=True)
        people = synthetic_people(data, number, SyntheticOptions(seed=11, truncated_share=0.0))
        for index, person in enumerate(people):
            Image.new("RGB", person.image_size).save(folder / name / "images" / f"{index:02d}.png")
            write_openpose_json([person], folder / name / "keypoints" / f"{index:02d}_keypoints.json")


def run(inputs: Path, output: Path) -> None:
    """Fit all inputs with the code that is imported."""
    from smplifyx.cli.main import main

    for name, (folder, options) in RUNS.items():
        paths = ["--images", str(inputs / folder / "images"), "--keypoints", str(inputs / folder / "keypoints")]
        target = ["--output", str(output / name), "--no-render", "--no-report", "--no-mesh", "--overwrite"]
        try:
            main(["fit", *paths, *target, *options])
        except SystemExit as end:
            if end.code not in (0, None):
                raise


def compare(output: Path, other: Path) -> None:
    """Print the largest differences of each run."""
    for name in RUNS:
        files = sorted((output / name).rglob("*.npz"))
        losses, joints, evaluations, moved = [], [], [], 0
        for path in files:
            if not (other / path.relative_to(output)).is_file():
                print(f"{name:14} {path.relative_to(output)} is missing in {other}")
                continue
            with np.load(path) as a, np.load(other / path.relative_to(output)) as b:
                losses.append(float(b["loss"] / a["loss"] - 1.0))
                joints.append(1e3 * float(np.linalg.norm(a["joints"] - b["joints"], axis=1).max()))
                evaluations.append(float(b["n_evaluations"] / a["n_evaluations"]))
                moved += not np.array_equal(a["joints"], b["joints"])
        if not losses:
            print(f"{name:14} no results")
            continue
        print(
            f"{name:14} {len(files):3} results, {moved} not equal; loss {min(losses):+.1e} .. {max(losses):+.1e}, "
            f"joints up to {max(joints):.4f} mm (median {np.median(joints):.4f}), "
            f"evaluations x {np.mean(evaluations):.3f}"
        )


if __name__ == "__main__":
    command, *folders = sys.argv[1:]
    {"inputs": write_inputs, "run": run, "compare": compare}[command](*map(Path, folders))
