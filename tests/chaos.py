"""Two checks of whole runs, by hand: runs that are killed at random moments, and equality of two output folders.

python -m tests.chaos people 160 /tmp/p          # photos and keypoints, 200 people
python -m tests.chaos run /tmp/p /tmp/one        # one undisturbed run with one worker
python -m tests.chaos run /tmp/p /tmp/two --kills 30 --processes 2 -- --workers 2
python -m tests.chaos compare /tmp/one /tmp/two  # all arrays of all results, exactly
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from smplifyx.cli.demo import DEMO_INPUTS
from smplifyx.output import OutputLayout, read_summary
from smplifyx.pipeline.journal import read_manifests
from smplifyx.result import load_result

#: Fields that differ between runs by their nature.
_OF_THE_RUN = ("seconds",)


def make_people(n_photos: int, folder: Path) -> None:
    """Write photos of the demo again and again, with keypoints moved by some pixels."""
    images, keypoints = folder / "images", folder / "keypoints"
    images.mkdir(parents=True)
    keypoints.mkdir()
    photos, rng = sorted((DEMO_INPUTS / "images").iterdir()), np.random.default_rng(0)
    for number in range(n_photos):
        photo = photos[number % len(photos)]
        shutil.copy(photo, images / f"photo{number:06d}{photo.suffix}")
        document = json.loads((DEMO_INPUTS / "keypoints" / f"{photo.stem}_keypoints.json").read_text())
        for person in document["people"]:
            for name, values in person.items():
                if name.endswith("keypoints_2d") and values:
                    points = np.array(values).reshape(-1, 3)
                    points[:, :2] += rng.normal(0.0, 3.0, points[:, :2].shape) * (points[:, 2:] > 0)
                    person[name] = points.ravel().round(3).tolist()
        (keypoints / f"photo{number:06d}_keypoints.json").write_text(json.dumps(document))


def run(folder: Path, output: Path, n_kills: int, n_processes: int, options: list[str]) -> None:
    """Fit a folder with several processes at once, each killed and started again at random moments."""
    call = [sys.executable, "-m", "smplifyx", "fit", "--images", str(folder / "images")]
    call += ["--keypoints", str(folder / "keypoints"), "--output", str(output), *options]
    for kill in range(n_kills):
        processes = [subprocess.Popen(call, start_new_session=True) for _ in range(n_processes)]
        time.sleep(random.uniform(1.0, 45.0))
        for process in processes:
            number = random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
            if number == signal.SIGKILL:
                os.killpg(process.pid, number)
            else:
                process.send_signal(number)
        codes = [process.wait() for process in processes]
        print(f"kill {kill + 1}: exit status {codes}", flush=True)
        if codes == [0] * n_processes:
            break
    subprocess.run(call, check=True)


def compare(one: Path, two: Path) -> int:
    """Compare all results of two folders; returns the number of fields that differ."""
    first, second = (
        {path.relative_to(root): path for *_, path in OutputLayout(root).results()} for root in (one, two)
    )
    if set(first) != set(second):
        print(f"different people: {sorted(map(str, set(first) ^ set(second)))[:10]}")
    n_different = len(set(first) ^ set(second))
    for name in sorted(set(first) & set(second)):
        a, b = vars(load_result(first[name])), vars(load_result(second[name]))
        for field, value in a.items():
            if field.startswith("_") or field in _OF_THE_RUN:
                continue
            if not _equal(value, b[field]):
                n_different += 1
                print(f"{name}: {field} differs")
    rows = [{row.key: row.loss for row in read_summary(OutputLayout(root).summary_path)} for root in (one, two)]
    leftovers = [path for root in (one, two) for path in root.rglob(".*")]
    print(f"{len(first)} and {len(second)} results, {n_different} fields differ; tables equal: {rows[0] == rows[1]}")
    print(
        f"runs: {[len(list(read_manifests(OutputLayout(root)))) for root in (one, two)]}, leftovers: {len(leftovers)}"
    )
    return n_different


def _equal(one: object, two: object) -> bool:
    try:
        np.testing.assert_equal(one, two)  # in dictionaries too; NaN equals NaN
    except AssertionError:
        return False
    return True


def main() -> int:
    """Run one of the checks; returns the exit status."""
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("check", choices=("people", "run", "compare"))
    parser.add_argument("first")
    parser.add_argument("second", type=Path)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args(arguments[:split])
    if given.check == "people":
        make_people(int(given.first), given.second)
    elif given.check == "run":
        run(Path(given.first), given.second, given.kills, given.processes, arguments[split + 1 :])
    else:
        return 1 if compare(Path(given.first), given.second) else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
