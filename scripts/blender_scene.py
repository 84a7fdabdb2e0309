"""Open an exported .glb in Blender as the photo shows it: its camera, the photo behind the people, and a picture.

    smplifyx export output --format glb
    blender --python scripts/blender_scene.py -- output/exports/photo.glb --photo photo.jpg

or without Blender's window, with the module of PyPI (``pip install bpy``, in an environment of its own)::

    python scripts/blender_scene.py output/exports/photo.glb --photo photo.jpg --render picture.png
    python scripts/blender_scene.py output/exports/animation.glb --fps 30 --render frames/
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import bpy

#: The photo stands this much farther away than the last point of the people.
_BEHIND = 1.3
#: Strength and direction (Euler angles, radians) of the lights: from the left above, a fill from the right, a rim.
_SUNS = ((3.0, (0.9, 0.0, -0.5)), (1.2, (1.3, 0.0, 0.9)), (1.0, (-0.9, 0.0, 0.3)))
#: Name of the photo's plane and material.
_PHOTO = "photo"


def main() -> None:
    """Read the arguments, after ``--`` where Blender has some of its own."""
    words = sys.argv[sys.argv.index("--") + 1 :] if "--" in sys.argv else sys.argv[1:]
    parser = argparse.ArgumentParser(
        prog="blender_scene.py", description="Open an exported .glb as the photo shows it."
    )
    parser.add_argument("scene", type=Path, help="the .glb of `smplifyx export`")
    parser.add_argument("--photo", type=Path, help="stands behind the people")
    parser.add_argument("--fps", type=float, default=30.0, help="of an animation, as exported (default: 30)")
    parser.add_argument("--render", type=Path, help="a picture, or a folder for those of all frames")
    parser.add_argument("--samples", type=int, default=16, help="of a pixel (default: 16)")
    parser.add_argument("--save", type=Path, help="a .blend file of the scene")
    arguments = parser.parse_args(words)
    open_scene(arguments.scene, arguments.fps)
    if arguments.photo is not None:
        add_photo(arguments.photo)
    if arguments.save is not None:
        bpy.ops.wm.save_as_mainfile(filepath=str(arguments.save.resolve()))
    if arguments.render is not None:
        render(arguments.render, arguments.samples)


def open_scene(path: Path, fps: float) -> None:
    """Import the scene into an empty one, and look through the photo's camera."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = round(fps), round(fps) / fps  # before the import, which reads it
    bpy.ops.import_scene.gltf(filepath=str(path.resolve()))
    for keys in bpy.data.shape_keys:
        for key in keys.key_blocks:
            key.slider_min, key.slider_max = -10, 10  # values beyond the sliders are clamped
    camera = next(one for one in bpy.data.objects if one.type == "CAMERA" and "lens_shift" in one.data)
    scene.camera, lens = camera, camera.data
    (width, height), (fx, fy) = lens["image_size"], lens["focal_length"]
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = width, height, 100
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = max(1, fy / fx), max(1, fx / fy)
    lens.sensor_fit, lens.lens = "AUTO", lens.sensor_width * fx / max(width, height * fx / fy)
    lens.shift_x, lens.shift_y = lens["lens_shift"]
    moving = [one.frame_range for one in bpy.data.actions]
    if moving:
        scene.frame_start = round(min(start for start, _ in moving))
        scene.frame_end = round(max(end for _, end in moving))
    for energy, angles in _SUNS:
        light = bpy.data.objects.new("sun", bpy.data.lights.new("sun", "SUN"))
        light.data.energy, light.rotation_euler = energy, angles
        scene.collection.objects.link(light)
    scene.world = bpy.data.worlds.new("world")
    scene.view_settings.view_transform = "Standard"  # the photo keeps its colours


def add_photo(path: Path) -> None:
    """Put the photo behind the people: as the camera's background, and as a plane that is also in pictures."""
    image = bpy.data.images.load(str(path.resolve()))
    lens = bpy.context.scene.camera.data
    lens.show_background_images = True
    lens.background_images.new().image = image
    distance = _BEHIND * max(_farthest(one) for one in bpy.data.objects if one.type == "MESH")
    (width, height), (fx, fy), (cx, cy) = lens["image_size"], lens["focal_length"], lens["principal_point"]
    right, up = [(u - cx) / fx for u in (-0.5, width - 0.5)], [(cy - v) / fy for v in (height - 0.5, -0.5)]
    corners = [(right[0], up[0]), (right[1], up[0]), (right[1], up[1]), (right[0], up[1])]
    mesh = bpy.data.meshes.new(_PHOTO)
    mesh.from_pydata([(x * distance, y * distance, -distance) for x, y in corners], [], [(0, 1, 2, 3)])
    places = mesh.uv_layers.new().data
    for place, corner in zip(places, ((0, 0), (1, 0), (1, 1), (0, 1)), strict=True):
        place.uv = corner
    mesh.materials.append(_glowing(image))
    plane = bpy.data.objects.new(_PHOTO, mesh)
    plane.parent = bpy.context.scene.camera
    plane.hide_viewport = True  # there the background shows it
    bpy.context.scene.collection.objects.link(plane)


def _farthest(body: bpy.types.Object) -> float:
    """Distance of a body's last point in front of the camera, metres."""
    to_camera = bpy.context.scene.camera.matrix_world.inverted() @ body.matrix_world
    posed = body.evaluated_get(bpy.context.evaluated_depsgraph_get()).to_mesh()
    return max(-(to_camera @ vertex.co).z for vertex in posed.vertices)


def _glowing(image: bpy.types.Image) -> bpy.types.Material:
    """A material that shows an image as it is, whatever the light."""
    material = bpy.data.materials.new(_PHOTO)
    material.use_nodes = True
    nodes, links = material.node_tree.nodes, material.node_tree.links
    nodes.clear()
    texture, emission = nodes.new("ShaderNodeTexImage"), nodes.new("ShaderNodeEmission")
    texture.image = image
    links.new(texture.outputs["Color"], emission.inputs["Color"])
    links.new(emission.outputs["Emission"], nodes.new("ShaderNodeOutputMaterial").inputs["Surface"])
    return material


def render(path: Path, samples: int) -> None:
    """Write a picture of the current frame, or of all frames into a folder."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"  # needs no graphics card
    scene.cycles.samples, scene.cycles.use_denoising = samples, False
    scene.render.film_transparent = True
    scene.render.image_settings.file_format = "PNG"
    if path.suffix:
        scene.render.filepath = str(path.resolve())
        bpy.ops.render.render(write_still=True)
    else:
        scene.render.filepath = f"{path.resolve()}/"
        bpy.ops.render.render(animation=True)


if __name__ == "__main__":
    main()
