"""``scripts/blender_scene.py`` in real Blender: the module of PyPI, in an environment of its own for its NumPy 1.

python3.11 -m venv blender && blender/bin/pip install bpy tbb
SMPLIFYX_BPY=blender/bin/python LD_LIBRARY_PATH=blender/lib pytest tests/export/test_blender.py
"""

from __future__ import annotations

import os
import subprocess
import textwrap
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.ndimage import binary_erosion, distance_transform_edt

from smplifyx.cli.main import main
from smplifyx.output import render
from smplifyx.output.render import BodyMesh, SoftwareRenderer
from smplifyx.result import FitResult
from tests.export.people import fitted

_SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
#: Pictures of all frames with one sample in the middle of each pixel.
_SILHOUETTES = """
    import pathlib, sys
    sys.path.insert(0, sys.argv[1])
    import bpy, blender_scene
    blender_scene.open_scene(pathlib.Path(sys.argv[2]), 30.0)
    scene = bpy.context.scene
    scene.cycles.pixel_filter_type, scene.cycles.filter_width, scene.cycles.max_bounces = "BOX", 0.01, 0
    blender_scene.render(pathlib.Path(sys.argv[3]), 1)
"""


@pytest.fixture(scope="module")
def python() -> str:
    found = os.environ.get("SMPLIFYX_BPY")
    if not found:
        pytest.skip("needs Blender's module: SMPLIFYX_BPY names the Python of its environment")
    return found


def _edge(mask: np.ndarray) -> np.ndarray:
    return mask & ~binary_erosion(mask, np.ones((3, 3)), border_value=1)


def _distance(mask: np.ndarray, other: np.ndarray) -> float:
    """Largest distance of the edge of one mask from that of the other, pixels."""
    return float(max(distance_transform_edt(~_edge(a))[_edge(b)].max() for a, b in ((mask, other), (other, mask))))


def _silhouette(person: FitResult, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Pixels whose centres the body covers."""
    monkeypatch.setattr(render, "_SUPERSAMPLING", 1)
    return SoftwareRenderer().render([BodyMesh(person.vertices, person.faces)], person.camera)[..., 3] > 127


def _run(python: str, *words: str | Path) -> None:
    done = subprocess.run([python, *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("center", [(320.0, 240.0), (360.5, 209.75)])
def test_silhouettes_of_an_animation(
    python: str, center: tuple[float, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = [fitted(seed=seed, principal_point=center) for seed in range(3)]
    for number, person in enumerate(people):
        person.betas = people[0].betas
        person.joints = person.body()(**person.parameters).joints[0].numpy()
        person.save(tmp_path / "run" / "results" / f"frame_{number}" / "000.npz")
    assert main(["export", str(tmp_path / "run"), "--format", "glb", "--fps", "30"]) == 0
    scene, frames = tmp_path / "run" / "exports" / "animation.glb", tmp_path / "frames"
    _run(python, "-c", textwrap.dedent(_SILHOUETTES), _SCRIPTS, scene, frames)
    for path, person in zip(sorted(frames.iterdir()), people, strict=True):
        found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., 3] > 127
        assert _distance(found, _silhouette(person, monkeypatch)) <= 2.0


@pytest.mark.slow
def test_photo_stands_exactly_behind_the_people(python: str, tmp_path: Path) -> None:
    person = fitted(principal_point=(360.5, 209.75), focal_length=np.float32([700, 710]))
    person.save(tmp_path / "run" / "results" / "photo" / "000.npz")
    assert main(["export", str(tmp_path / "run"), "--format", "glb"]) == 0
    smooth = np.random.default_rng(0).uniform(0, 255, (12, 16, 3)).astype(np.uint8)
    photo = cv2.resize(smooth, (640, 480), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(tmp_path / "photo.png"), photo)
    picture = tmp_path / "picture.png"
    scene = tmp_path / "run" / "exports" / "photo.glb"
    _run(python, _SCRIPTS / "blender_scene.py", scene, "--photo", tmp_path / "photo.png", "--render", picture)
    shown = cv2.imread(str(picture))
    around = SoftwareRenderer().render([BodyMesh(person.vertices, person.faces)], person.camera)[..., 3] == 0
    around = binary_erosion(around, np.ones((7, 7)), border_value=1)  # Blender's filter is wider than a pixel
    around[:3] = around[-3:] = around[:, :3] = around[:, -3:] = False
    assert np.abs(shown.astype(int) - photo)[around].max() <= 8
