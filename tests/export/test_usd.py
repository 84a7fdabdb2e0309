"""Scenes as OpenUSD, posed by the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from smplifyx.export.motion import Motion
from smplifyx.export.rig import Rig
from smplifyx.export.usd import joint_paths, write_usd
from tests.export.people import motion


def test_joints_are_paths() -> None:
    paths = joint_paths(motion())
    assert paths[:2] == ["pelvis", "pelvis/left_hip"] and len(set(paths)) == 55


def test_a_scene_stands_where_it_was_fitted(tmp_path: Path) -> None:
    pytest.importorskip("pxr", reason="needs OpenUSD (pip install usd-core)")
    from pxr import Gf, Usd, UsdGeom, UsdSkel

    three = motion(3, principal_point=(360.5, 209.75))
    moving = Motion(three.key, three.results, (0, 1, 3))
    rig = Rig(moving)
    write_usd(tmp_path / "scene.usdc", [rig], fps=10.0)
    assert [path.name for path in tmp_path.iterdir()] == ["scene.usdc"]
    stage = Usd.Stage.Open(str(tmp_path / "scene.usdc"))
    assert stage.GetTimeCodesPerSecond() == 10 and stage.GetEndTimeCode() == 3

    cache = UsdSkel.Cache()
    root = UsdSkel.Root(stage.GetPrimAtPath("/scene/person_0"))
    cache.Populate(root, Usd.PrimDefaultPredicate)
    skeleton = cache.GetSkelQuery(UsdSkel.Skeleton(stage.GetPrimAtPath("/scene/person_0/person_0_rig")))
    mesh = stage.GetPrimAtPath("/scene/person_0/person_0_body")
    skinning = cache.GetSkinningQuery(mesh)
    for row, frame in enumerate(moving.frames):
        points = np.array(UsdGeom.Mesh(mesh).GetPointsAttr().Get())
        names = list(skeleton.GetAnimQuery().GetBlendShapeOrder())
        values = np.array(skeleton.GetAnimQuery().ComputeBlendShapeWeights(frame))
        for name, value in zip(names, values, strict=True):
            shape = UsdSkel.BlendShape(stage.GetPrimAtPath(f"/scene/person_0/person_0_body/{name}"))
            points[np.array(shape.GetPointIndicesAttr().Get())] += value * np.array(shape.GetOffsetsAttr().Get())
        posed = [Gf.Vec3f(*map(float, point)) for point in points]
        from pxr import Vt

        posed = Vt.Vec3fArray(posed)
        assert skinning.ComputeSkinnedPoints(skeleton.ComputeSkinningTransforms(frame), posed, frame)
        assert np.abs(np.array(posed) - rig.vertices([row])[0]).max() < 1e-4

    camera = UsdGeom.Camera(stage.GetPrimAtPath("/scene/photo_camera")).GetCamera(0)
    projection = np.array(camera.frustum.ComputeProjectionMatrix())
    points = np.c_[moving.fitted_vertices(0), np.ones(moving.data.n_vertices)] @ projection
    ndc = points[:, :2] / points[:, 3:]
    pixels = (ndc * (1, -1) + 1) / 2 * (640, 480) - 0.5
    np.testing.assert_allclose(pixels, moving.first.camera.project(moving.first.vertices), atol=0.05)


def test_without_the_library_the_message_says_what_to_install(tmp_path: Path, monkeypatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pxr", None)
    from smplifyx.errors import UsageError

    with pytest.raises(UsageError, match=r"smplifyx\[usd\]"):
        write_usd(tmp_path / "scene.usdc", [])
