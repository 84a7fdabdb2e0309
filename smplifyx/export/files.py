"""Export files of an output folder: the people of each file, and the remarks on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Literal

from smplifyx.config import load_recorded
from smplifyx.errors import InputError, UsageError
from smplifyx.export.amass import amass_bytes
from smplifyx.export.bvh import bvh_text
from smplifyx.export.glb import posed_scene, rigged_scene
from smplifyx.export.motion import Motion, PersonKey, motions_of_frames, natural_order
from smplifyx.export.pickles import PickleLayout, pickle_bytes
from smplifyx.export.programs import agora_bytes, easymocap_files, exavatar_files, talkshow_bytes
from smplifyx.export.rig import Rig
from smplifyx.export.texture import texture_map
from smplifyx.export.trc import trc_text
from smplifyx.export.usd import require_usd, write_usd
from smplifyx.files import write_bytes
from smplifyx.keypoints.folder import image_files
from smplifyx.output.layout import OutputLayout
from smplifyx.output.meshes import save_mesh
from smplifyx.pipeline.journal import SETTINGS, read_logs, read_manifests
from smplifyx.result import FitResult, load_result
from smplifyx.words import count

ExportFormat = Literal[
    "glb", "obj", "ply", "bvh", "trc", "amass", "pickle", "usd", "agora", "talkshow", "exavatar", "easymocap"
]  # fmt: skip
#: Formats of one frame: with several frames there is a file for each.
_STILL: tuple[ExportFormat, ...] = ("obj", "ply", "pickle", "agora")
#: Ends of file names, where they are not ``.FORMAT``; without a dot that of a folder.
_ENDS = {
    "amass": ".npz",
    "pickle": ".pkl",
    "usd": ".usdc",
    "agora": ".pkl",
    "talkshow": "_talkshow.pkl",
    "exavatar": "_exavatar",
    "easymocap": "_easymocap",
}
#: Formats with all people in one file.
_SCENES: tuple[ExportFormat, ...] = ("glb", "usd", "easymocap")
#: Frames per second of motion formats that need a number for a single photo too.
DEFAULT_FPS = 30.0


@dataclass(frozen=True)
class ExportOptions:
    """Choices for the files.

    Attributes:
        fps: frames per second; None makes a file of each photo, a number one animation of all.
        person: number of the only person; None for all.
        rig: whether a .glb has joints and skin, or plain meshes as fitted.
        correctives: whether a rig has the pose correctives as morph targets.
        layout: keys of pickles.
        models: the only folder to search for body models; None for the usual places.
    """

    fps: float | None = None
    person: int | None = None
    rig: bool = True
    correctives: bool = True
    layout: PickleLayout = "smplifyx"
    models: Path | None = None


@dataclass(frozen=True)
class Exported:
    """A file that was written, and remarks about it; or ``error``, the reason why it was not."""

    path: Path
    remarks: tuple[str, ...] = ()
    error: InputError | None = None


@dataclass(frozen=True)
class Take:
    """A photo, or all frames of an animation, with the motions of its people.

    Attributes:
        name: of the file.
        motions: of the people.
        remarks: about all files of the take.
    """

    name: str
    motions: tuple[Motion, ...]
    remarks: tuple[str, ...] = ()


def result_files(root: Path, photos: Sequence[str] = ()) -> dict[str, dict[PersonKey, Path]]:
    """Result files of an output folder by photo and person, photos in natural order.

    Args:
        root: the output folder of a fit.
        photos: names or patterns of photos; none for all.

    Raises:
        UsageError: there are none.
    """
    found: dict[str, dict[PersonKey, Path]] = {}
    for stem, person, side, path in OutputLayout(root).results():
        if _is_wanted(stem, photos):
            found.setdefault(stem, {})[PersonKey(person, side)] = path
    if not found:
        wanted = f" of {', '.join(photos)}" if photos else ""
        raise UsageError(f"{root} holds no results{wanted}; expected an output folder of `smplifyx fit`")
    return {stem: found[stem] for stem in sorted(found, key=natural_order)}


def _is_wanted(stem: str, photos: Sequence[str]) -> bool:
    return not photos or any(fnmatch(stem, Path(one).name) or stem == Path(one).stem for one in photos)


def photos_of_run(root: Path) -> list[str] | None:
    """Names of all photos of an output folder in natural order, those without results included.

    The folder of photos tells them; where it is gone or holds other photos, the logs of the runs do. Both must know
    every photo with results.

    Args:
        root: the output folder of a fit.

    Returns:
        The names, or None where neither knows them.
    """
    layout = OutputLayout(root)
    with_results = {stem for stem, *_ in layout.results()}
    for stems in (_stems_of_folder(layout), set().union(*read_logs(layout))):
        if stems and with_results <= stems:
            return sorted(stems, key=natural_order)
    return None


def _stems_of_folder(layout: OutputLayout) -> set[str]:
    """Names of the photos that the last run was given; empty where they cannot be found any more."""
    settings = [layout.runs_path / name / SETTINGS for name, _ in read_manifests(layout)]
    try:
        _, run, _ = load_recorded(settings[-1] if settings else layout.config_path)
        return set() if run.images is None else {path.stem for path in image_files(run.images)}
    except (UsageError, InputError, OSError):
        return set()


def export(
    root: Path, target: Path, formats: Sequence[ExportFormat], photos: Sequence[str], options: ExportOptions
) -> Iterator[Exported]:
    """Write the files; one that fails does not stop the others.

    Raises:
        UsageError: there are no results, options exclude each other, or USD is not installed.
    """
    if options.fps is not None and "glb" in formats and not options.rig:
        raise UsageError("an animation needs joints: --fps and --no-rig exclude each other")
    if "usd" in formats:
        require_usd()
    files = result_files(root, photos)
    people = {stem: _selected(paths, options.person) for stem, paths in files.items()}
    if not any(people.values()):
        raise UsageError(f"{root} holds no person {options.person}")
    stills = list(formats) if options.fps is None else [one for one in formats if one in _STILL]
    moving = [] if options.fps is None else [one for one in formats if one not in _STILL]
    broken: dict[Path, InputError] = {}
    if stills:
        for stem, paths in people.items():
            yield from _write(_take(stem, [paths], options, broken), target, stills, options)
    if moving:
        known = photos_of_run(root)
        stems = list(people) if known is None else [stem for stem in known if _is_wanted(stem, photos)]
        take = _take("animation", [people.get(stem, {}) for stem in stems], options, broken)
        yield from _write(replace(take, remarks=_frame_remarks(stems, people, known)), target, moving, options)
    for path, error in broken.items():
        yield Exported(path, error=error)


def _frame_remarks(
    stems: Sequence[str], people: dict[str, dict[PersonKey, Path]], known: Sequence[str] | None
) -> tuple[str, ...]:
    if known is None:
        return ("the photos of the run are unknown: frames are numbered over the photos with results",)
    empty = sum(stem not in people for stem in stems)
    return (f"{count(len(stems), 'frame', 'frames')}, {empty} of photos without results",) if empty else ()


def _selected(paths: dict[PersonKey, Path], person: int | None) -> dict[PersonKey, Path]:
    return {key: path for key, path in paths.items() if person is None or key.number == person}


def _take(
    name: str, frames: Iterable[dict[PersonKey, Path]], options: ExportOptions, broken: dict[Path, InputError]
) -> Take:
    """Load the people of a take; those who cannot be used are added to ``broken``."""
    tracks: dict[PersonKey, list[dict[PersonKey, FitResult]]] = {}
    for number, paths in enumerate(frames):
        for key, path in paths.items():
            try:
                result = load_result(path)
                result.body(options.models)
            except InputError as error:
                broken.setdefault(path, InputError(path, error.problem, error.field))
            else:
                track = tracks.setdefault(key, [])
                track.extend({} for _ in range(number - len(track)))
                track.append({key: result})
    motions: list[Motion] = []
    for key in sorted(tracks, key=lambda one: (one.number, one.side)):
        try:
            motions += motions_of_frames(tracks[key])
        except InputError as error:
            broken[Path(f"{name}_{key.file_name}")] = error
    return Take(name, tuple(motions))


def _write(take: Take, target: Path, formats: Iterable[ExportFormat], options: ExportOptions) -> Iterator[Exported]:
    for one in formats:
        if one in _SCENES:
            if take.motions:
                write = {"glb": _write_glb, "usd": _write_usd, "easymocap": _write_easymocap}[one]
                path = target / (take.name + _ENDS.get(one, f".{one}"))
                yield _attempt(path, partial(write, take=take, options=options), take.remarks)
            continue
        for motion in take.motions:
            person = f"personId_{motion.key.number}" if one == "agora" else motion.key.file_name
            path = target / (f"{take.name}_{person}" + _ENDS.get(one, f".{one}"))
            yield _attempt(path, _writer(one, motion, options), take.remarks)


def _attempt(path: Path, write: Callable[[Path], tuple[str, ...]], remarks: tuple[str, ...]) -> Exported:
    try:
        return Exported(path, (*write(path), *remarks))
    except InputError as error:
        return Exported(path, error=InputError(path, error.problem, error.field))


def _write_glb(path: Path, take: Take, options: ExportOptions) -> tuple[str, ...]:
    if not options.rig:
        write_bytes(path, posed_scene(take.motions, take.name))
        return (f"people: {len(take.motions)}",)
    rigs = [Rig(motion, options.correctives) for motion in take.motions]
    write_bytes(path, rigged_scene(rigs, take.name, options.fps))
    return tuple(remark for rig in rigs for remark in rig_remarks(rig))


def _write_usd(path: Path, take: Take, options: ExportOptions) -> tuple[str, ...]:
    rigs = [Rig(motion, options.correctives) for motion in take.motions]
    write_usd(path, rigs, options.fps)
    return tuple(remark for rig in rigs for remark in rig_remarks(rig))


def _write_easymocap(path: Path, take: Take, options: ExportOptions) -> tuple[str, ...]:
    return _write_folder(path, easymocap_files(take.motions))


def _write_folder(folder: Path, files: dict[str, bytes]) -> tuple[str, ...]:
    """Write files by path, and remove frames of an earlier export."""
    for inner in {(folder / name).parent for name in files}:  # others hold files of the user
        for path in inner.glob("*.json"):
            if path.stem.isdecimal() and path.relative_to(folder).as_posix() not in files:
                path.unlink()
    for name, data in files.items():
        write_bytes(folder / name, data)
    return (f"{len(files)} files",)


def rig_remarks(rig: Rig) -> tuple[str, ...]:
    """Lines about the errors of a rig."""
    errors = rig.errors
    held = "in morph targets" if rig.with_correctives else f"left out: {errors.correctives}"
    name = rig.motion.key.node_name
    frames = f" in {len(rig.motion.frames)} frames" if len(rig.motion.frames) > 1 else ""
    lines = [f"{name}{frames}: {errors.total} from the fit; skin {errors.skin}; pose correctives {held}"]
    cameras = {(one.camera.focal_length, one.camera.center) for one in rig.motion.results}
    if len(cameras) > 1:
        lines.append(f"{name}: the frames have {len(cameras)} cameras, the file has the first; give --focal-length")
    return tuple(lines)


def _writer(one: ExportFormat, motion: Motion, options: ExportOptions) -> Callable[[Path], tuple[str, ...]]:
    fps = DEFAULT_FPS if options.fps is None else options.fps

    def write(path: Path) -> tuple[str, ...]:
        if one in ("obj", "ply"):
            texture = texture_map(motion.data)
            points = None if texture is None else (texture.points, texture.corners)
            save_mesh(motion.first.vertices, motion.data.faces, path, texture=points)
        elif one == "bvh":
            write_bytes(path, bvh_text(motion, fps).encode())
        elif one == "trc":
            write_bytes(path, trc_text(motion, fps, path.name).encode())
        elif one == "amass":
            write_bytes(path, amass_bytes(motion, fps))
        elif one == "agora":
            write_bytes(path, agora_bytes(motion))
        elif one == "talkshow":
            write_bytes(path, talkshow_bytes(motion))
        elif one == "exavatar":
            return _write_folder(path, exavatar_files(motion))
        else:
            write_bytes(path, pickle_bytes(motion, options.layout))
        return ()

    return write
