"""``smplifyx keypoints``: convert, draw and judge keypoint files of any detector."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from smplifyx.cli import messages
from smplifyx.cli.messages import check_output, count
from smplifyx.errors import InputError, UsageError

if TYPE_CHECKING:
    from smplifyx.keypoints import KeypointOptions, Loaded, Observation

#: One person as written in OpenPose's JSON.
_Entry = dict[str, object]

_CONVERT = """Write keypoints of any detector as OpenPose JSON: one file NAME_keypoints.json a photo, pixels of the
upright photo, BODY_25, hands and face. Nothing is dropped but points that the layout has no place for.

example:
  smplifyx keypoints convert --keypoints halpe26.json --output openpose"""
_SHOW = """Draw keypoints on their photos, as fit would use them: NAME_keypoints.jpg in the output folder. The
person's left is orange, the right blue, the middle green, the face white.

example:
  smplifyx keypoints show --images photos --keypoints keypoints --output drawn"""
_CHECK = """Judge keypoints before a fit: print format and layout of the files, and for each person the number of
points and all that is dropped, corrected or uncertain. The exit status is 1 if there is any.

example:
  smplifyx keypoints check --images photos --keypoints keypoints"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "keypoints",
        help="convert, draw or judge keypoint files of any detector",
        description="Convert, draw or judge keypoint files of any detector.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    convert = _action(actions, "convert", "any layout to OpenPose JSON", _CONVERT, images_needed=False)
    convert.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the new files")
    convert.set_defaults(run=_convert)
    show = _action(actions, "show", "drawings of keypoints on their photos", _SHOW)
    show.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the drawings")
    show.set_defaults(run=_show)
    _action(actions, "check", "problems of keypoints", _CHECK).set_defaults(run=_check)
    listing = actions.add_parser(
        "layouts", help="list the layouts", description="List the known layouts of keypoints."
    )
    listing.set_defaults(run=_list)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    text: str,
    description: str,
    images_needed: bool = True,
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=description)
    parser.add_argument("--keypoints", type=Path, required=True, metavar="PATH", help="keypoint file or folder")
    parser.add_argument(
        "--images",
        type=Path,
        required=images_needed,
        metavar="DIR",
        help="folder of photos, or one photo" + ("" if images_needed else "; needed where files hold fractions"),
    )
    parser.add_argument("--layout", default="auto", metavar="NAME", help="order of the points (default: auto)")
    parser.add_argument(
        "--keypoint-frame",
        choices=("auto", "upright", "stored"),
        default="auto",
        help="picture that the points count in; stored: without the EXIF turn (default: auto)",
    )
    parser.add_argument(
        "--keypoint-scale", type=float, default=1.0, metavar="FACTOR", help="factor on coordinates (default: 1)"
    )
    return parser


def _options(arguments: argparse.Namespace, check: bool) -> KeypointOptions:
    from smplifyx.keypoints import KeypointOptions
    from smplifyx.keypoints.layouts import AUTO, layout_named

    if arguments.layout != AUTO:
        layout_named(arguments.layout)
    if not arguments.keypoint_scale > 0:
        raise UsageError(f"--keypoint-scale: expected more than 0, found {arguments.keypoint_scale:g}")
    return KeypointOptions(arguments.layout, arguments.keypoint_frame, arguments.keypoint_scale, check)


def _loaded(arguments: argparse.Namespace, check: bool) -> Loaded:
    """All people in the files; with ``check`` those that a fit would take, as it would take them."""
    from smplifyx.keypoints import PersonSelection, load_pairs, merge_loaded, pair_folder, unpaired

    pairing = pair_folder(arguments.images, arguments.keypoints)
    everyone = PersonSelection(min_keypoints=1, min_confidence=0.0, min_size=0.0, merge_fragments=False)
    people = load_pairs(pairing.pairs, PersonSelection() if check else everyone, _options(arguments, check))
    loaded = merge_loaded([people, unpaired(pairing, arguments.keypoints)])
    for failure in loaded.failures:
        messages.note(f"failed: {failure}")
    for note in loaded.notes:
        messages.note(f"note: {note}")
    return loaded


def _convert(arguments: argparse.Namespace) -> int:
    from smplifyx.keypoints.writing import person_entry, write_openpose

    check_output(arguments.output)
    if arguments.images is None:
        people, failures = _without_photos(arguments)
    else:
        loaded = _loaded(arguments, check=False)
        people = {
            stem: {one.person_index: person_entry(one.keypoints, one.gender, one.points_3d) for one in group}
            for stem, group in _by_photo(loaded.observations)
        }
        failures = len(loaded.failures)
        _say_kinds(loaded.kinds)
    for stem, entries in people.items():
        write_openpose(arguments.output / f"{stem}_keypoints.json", _numbered(entries))
    n_people = sum(map(len, people.values()))
    of_photos = f"{count(n_people, 'person', 'people')} of {count(len(people), 'photo', 'photos')}"
    messages.say(f"{of_photos}; keypoints in {arguments.output}")
    return 1 if failures else 0


def _numbered(entries: Mapping[int, _Entry]) -> list[_Entry]:
    """The entries of a photo; an unreadable person has no keypoints, so that the others keep their numbers."""
    import numpy as np

    from smplifyx.keypoints.writing import person_entry
    from smplifyx.skeleton import N_KEYPOINTS

    empty = person_entry(np.zeros((N_KEYPOINTS, 3)))
    return [entries.get(number, empty) for number in range(max(entries, default=-1) + 1)]


def _without_photos(arguments: argparse.Namespace) -> tuple[dict[str, dict[int, _Entry]], int]:
    """The people of files in pixels, by the photo that the file or its name says, and the number of failures."""
    from smplifyx.keypoints.folder import keypoint_files, photo_stem
    from smplifyx.keypoints.formats import read_document
    from smplifyx.keypoints.reading import people_of
    from smplifyx.keypoints.writing import person_entry

    options = _options(arguments, check=False)
    found: dict[str, dict[int, _Entry]] = {}
    kinds: Counter[tuple[str, str]] = Counter()
    failures = 0
    for path in keypoint_files(arguments.keypoints):
        try:
            document = read_document(path)
            for key in document.by_image or {None: ()}:
                image = None if key is None else Path(str(key))
                file = people_of(document, options.layout, image=image)
                stem = photo_stem(path) if image is None else image.stem
                if file.people or not file.failures:
                    entries = found.setdefault(stem, {})
                    first = max(entries, default=-1) + 1  # another file about this photo came before
                    for one in file.people:
                        entries[first + one.index] = person_entry(one.keypoints, one.gender, one.points_3d)
                kinds[file.format, file.layout] += 1
                for error in file.failures:
                    messages.note(f"failed: {error}")
                failures += len(file.failures)
        except InputError as error:
            messages.note(f"failed: {error}")
            failures += 1
    _say_kinds(kinds)
    return found, failures


def _show(arguments: argparse.Namespace) -> int:
    from smplifyx.keypoints import draw_keypoints, read_image
    from smplifyx.output import save_picture

    check_output(arguments.output)
    loaded = _loaded(arguments, check=True)
    n_drawn = 0
    for stem, group in _by_photo(loaded.observations):
        people = list(group)
        picture = read_image(people[0].image_file)
        for one in people:
            picture = draw_keypoints(picture, one.keypoints)
        save_picture(picture, arguments.output / f"{stem}_keypoints.jpg")
        n_drawn += 1
    _say_kinds(loaded.kinds)
    drawn = f"{count(len(loaded.observations), 'person', 'people')} on {count(n_drawn, 'photo', 'photos')}"
    messages.say(f"{drawn}; drawings in {arguments.output}")
    return 1 if loaded.failures else 0


def _check(arguments: argparse.Namespace) -> int:
    loaded = _loaded(arguments, check=True)
    _say_kinds(loaded.kinds)
    for one in loaded.observations:
        counts = ", ".join(f"{name} {count}" for name, count in _counts(one).items())
        flags = f"; {', '.join(one.flags)}" if one.flags else ""
        messages.say(f"{one.name}: {counts}{flags}")
        for warning in one.warnings:
            messages.say(f"  {warning}")
    for skipped in loaded.skipped:
        person = "" if skipped.person_index is None else f", person {skipped.person_index}"
        messages.say(f"{skipped.path.name}{person}: not fitted: {skipped.reason}")
    n_flagged = sum(bool(one.flags) for one in loaded.observations)
    n_people, n_failed = len(loaded.observations), len(loaded.failures)
    people = count(n_people, "person", "people")
    messages.say(f"{people}, {n_flagged} with flags; {count(n_failed, 'input', 'inputs')} failed")
    return 1 if n_flagged or n_failed or loaded.notes else 0


def _list(arguments: argparse.Namespace) -> int:
    from smplifyx.keypoints.layouts import layouts

    for layout in layouts().values():
        messages.say(f"{layout.name:24} {layout.description}")
    return 0


def _by_photo(people: Sequence[Observation]) -> Iterable[tuple[str, Iterable[Observation]]]:
    return groupby(people, key=lambda one: one.stem)


def _counts(one: Observation) -> dict[str, int]:
    """Number of seen points by part."""
    from smplifyx.skeleton import (
        BODY_KEYPOINTS,
        CONTOUR_KEYPOINTS,
        FACE_KEYPOINTS,
        LEFT_HAND_KEYPOINTS,
        RIGHT_HAND_KEYPOINTS,
    )

    seen = one.keypoints[:, 2] > 0
    return {
        "body": int(seen[BODY_KEYPOINTS].sum()),
        "left hand": int(seen[LEFT_HAND_KEYPOINTS].sum()),
        "right hand": int(seen[RIGHT_HAND_KEYPOINTS].sum()),
        "face": int(seen[FACE_KEYPOINTS].sum() + seen[CONTOUR_KEYPOINTS].sum()),
    }


def _say_kinds(kinds: Mapping[tuple[str, str], int]) -> None:
    for (kind, layout), number in sorted(kinds.items()):
        messages.say(f"{kind}, {layout or 'no bodies'}: {count(number, 'photo', 'photos')}")
