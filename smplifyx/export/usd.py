"""Scenes as OpenUSD (UsdSkel) layers; needs the extra ``smplifyx[usd]``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from smplifyx.camera import Camera
from smplifyx.errors import UsageError
from smplifyx.export.glb import continuous, morph_targets, morph_values, quaternions
from smplifyx.export.motion import Motion
from smplifyx.export.rig import Rig
from smplifyx.export.texture import texture_map
from smplifyx.files import atomic_path
from smplifyx.output.meshes import CAMERA_NAME, vertex_normals
from smplifyx.output.render import ROUGHNESS, person_color

#: Width of the film in a camera, 36 mm in tenths of the unit of the scene, as the schema wants it.
_FILM = 0.36


def require_usd() -> None:
    """Check that the library is there; raises ``UsageError``."""
    try:
        import pxr.Usd  # noqa: F401
    except ImportError as error:
        raise UsageError(f"USD needs another library: pip install 'smplifyx[usd]' ({error})") from error


def write_usd(path: Path, rigs: Sequence[Rig], fps: float | None = None) -> None:
    """Write a scene of skinned bodies like :func:`~smplifyx.export.glb.rigged_scene`, y up, metres.

    USD cameras have offsets of the aperture, so the camera is that of the photo for any principal point.

    Args:
        path: the file, ``.usdc``, ``.usda`` or ``.usd``.
        rigs: the people.
        fps: frames per second of an animation; None for a still.

    Raises:
        UsageError: usd-core is not installed.
    """
    require_usd()
    from pxr import Usd, UsdGeom

    with atomic_path(path) as temporary:
        stage = Usd.Stage.CreateNew(str(temporary))
        UsdGeom.SetStageUpAxis(stage, UsdGeom.Tokens.y)
        UsdGeom.SetStageMetersPerUnit(stage, 1.0)
        root = UsdGeom.Xform.Define(stage, "/scene")
        stage.SetDefaultPrim(root.GetPrim())
        if fps is not None:
            stage.SetTimeCodesPerSecond(fps)
            stage.SetFramesPerSecond(fps)
            stage.SetStartTimeCode(min(rig.motion.frames[0] for rig in rigs))
            stage.SetEndTimeCode(max(rig.motion.frames[-1] for rig in rigs))
        _add_camera(stage, rigs[0].motion.first.camera)
        for rig in rigs:
            _add_character(stage, rig, fps is not None)
        stage.GetRootLayer().Save()


def _add_camera(stage: Any, camera: Camera) -> None:
    from pxr import Gf, UsdGeom

    (fx, fy), (width, height) = camera.focal_length, camera.size
    pixel = _FILM / width
    lens = UsdGeom.Camera.Define(stage, f"/scene/{CAMERA_NAME}")
    lens.CreateHorizontalApertureAttr(_FILM)
    lens.CreateVerticalApertureAttr(height * pixel * fx / fy)
    lens.CreateFocalLengthAttr(fx * pixel)
    lens.CreateHorizontalApertureOffsetAttr((width / 2.0 - camera.center[0] - 0.5) * pixel)
    lens.CreateVerticalApertureOffsetAttr((camera.center[1] + 0.5 - height / 2.0) * pixel * fx / fy)
    lens.CreateClippingRangeAttr(Gf.Vec2f(0.01, 1000.0))


def _add_character(stage: Any, rig: Rig, moving: bool) -> None:
    from pxr import UsdSkel

    motion = rig.motion
    path = f"/scene/{motion.key.node_name}"
    UsdSkel.Root.Define(stage, path)
    skeleton = UsdSkel.Skeleton.Define(stage, f"{path}/{motion.key.node_name}_rig")
    animation = UsdSkel.Animation.Define(stage, f"{path}/{motion.key.node_name}_rig/animation")
    joints = joint_paths(motion)
    skeleton.CreateJointsAttr(joints)
    skeleton.CreateBindTransformsAttr(_translations(motion.rest_joints))
    offsets = motion.rest_joints - motion.rest_joints[np.maximum(motion.data.parents, 0)]
    offsets[0] = motion.rest_joints[0]
    skeleton.CreateRestTransformsAttr(_translations(offsets))
    UsdSkel.BindingAPI.Apply(skeleton.GetPrim()).CreateAnimationSourceRel().SetTargets([animation.GetPath()])
    targets = morph_targets(rig)
    mesh = _add_mesh(stage, f"{path}/{motion.key.node_name}_body", rig, targets)
    UsdSkel.BindingAPI.Apply(mesh).CreateSkeletonRel().SetTargets([skeleton.GetPath()])
    animation.CreateJointsAttr(joints)
    animation.CreateBlendShapesAttr(list(targets))
    _add_samples(animation, rig, offsets, moving)


def _add_samples(animation: Any, rig: Rig, offsets: np.ndarray, moving: bool) -> None:
    from pxr import Gf, Usd, Vt

    motion = rig.motion
    turns = np.stack([continuous(quaternions(motion.rotations[:, k])) for k in range(len(offsets))], axis=1)
    values = morph_values(rig)
    animation.CreateScalesAttr([Gf.Vec3h(1, 1, 1)] * len(offsets))
    translations, rotations = animation.CreateTranslationsAttr(), animation.CreateRotationsAttr()
    weights = animation.CreateBlendShapeWeightsAttr()
    for row, frame in enumerate(motion.frames if moving else motion.frames[:1]):
        time = Usd.TimeCode(frame) if moving else Usd.TimeCode.Default()
        placed = np.concatenate([motion.root_positions[row : row + 1], offsets[1:]]).astype(np.float32)
        translations.Set(Vt.Vec3fArray.FromNumpy(placed), time)
        rotations.Set([Gf.Quatf(float(w), float(x), float(y), float(z)) for x, y, z, w in turns[row]], time)
        weights.Set(Vt.FloatArray.FromNumpy(values[row]), time)


def _add_mesh(stage: Any, path: str, rig: Rig, targets: dict[str, np.ndarray]) -> Any:
    from pxr import Gf, Sdf, UsdGeom, UsdShade, UsdSkel, Vt

    motion = rig.motion
    faces = np.ascontiguousarray(motion.data.faces, np.int32)
    template = np.ascontiguousarray(motion.template, np.float32)
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr(Vt.Vec3fArray.FromNumpy(template))
    mesh.CreateFaceVertexCountsAttr(Vt.IntArray(len(faces), 3))
    mesh.CreateFaceVertexIndicesAttr(Vt.IntArray.FromNumpy(faces.ravel()))
    mesh.CreateSubdivisionSchemeAttr(UsdGeom.Tokens.none)
    mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(vertex_normals(template, faces).astype(np.float32)))
    mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)
    texture = texture_map(motion.data)
    if texture is not None:
        primvar = UsdGeom.PrimvarsAPI(mesh).CreatePrimvar(
            "st", Sdf.ValueTypeNames.TexCoord2fArray, UsdGeom.Tokens.faceVarying
        )
        primvar.Set(Vt.Vec2fArray.FromNumpy(np.ascontiguousarray(texture.points[texture.corners.ravel()])))
    binding = UsdSkel.BindingAPI.Apply(mesh.GetPrim())
    size = rig.joint_numbers.shape[1]
    binding.CreateJointIndicesPrimvar(False, size).Set(
        Vt.IntArray.FromNumpy(rig.joint_numbers.astype(np.int32).ravel())
    )
    binding.CreateJointWeightsPrimvar(False, size).Set(Vt.FloatArray.FromNumpy(rig.joint_weights.ravel()))
    shapes = []
    for name, moved in targets.items():
        rows = np.flatnonzero(moved.any(axis=1)).astype(np.int32)
        shape = UsdSkel.BlendShape.Define(stage, f"{path}/{name}")
        shape.CreateOffsetsAttr(Vt.Vec3fArray.FromNumpy(np.ascontiguousarray(moved[rows])))
        shape.CreatePointIndicesAttr(Vt.IntArray.FromNumpy(rows))
        shapes.append(shape.GetPath())
    binding.CreateBlendShapesAttr(list(targets))
    binding.CreateBlendShapeTargetsRel().SetTargets(shapes)
    material = UsdShade.Material.Define(stage, f"{path}/material")
    shader = UsdShade.Shader.Define(stage, f"{path}/material/surface")
    shader.CreateIdAttr("UsdPreviewSurface")
    color = Gf.Vec3f(*person_color(motion.key.number))
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(color)
    shader.CreateInput("roughness", Sdf.ValueTypeNames.Float).Set(ROUGHNESS)
    material.CreateSurfaceOutput().ConnectToSource(shader.ConnectableAPI(), "surface")
    UsdShade.MaterialBindingAPI.Apply(mesh.GetPrim()).Bind(material)
    return mesh.GetPrim()


def joint_paths(motion: Motion) -> list[str]:
    """Joints as USD names them, by their path from the root: ``pelvis/left_hip``."""
    paths: list[str] = []
    for name, parent in motion.data.skeleton.joints:
        paths.append(name if parent < 0 else f"{paths[parent]}/{name}")
    return paths


def _translations(points: np.ndarray) -> Any:
    from pxr import Gf, Vt

    return Vt.Matrix4dArray([Gf.Matrix4d(1.0).SetTranslate(Gf.Vec3d(*map(float, point))) for point in points])
