"""From two folders to observations: pairs the files, reads them, chooses the people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from smplifyx.camera import Camera
from smplifyx.child_processes import n_usable_cores
from smplifyx.errors import CHOOSE_STORED, GIVE_SCALE, KEEP_UPRIGHT, InputError
from smplifyx.keypoints import frames, images
from smplifyx.keypoints.documents import Document
from smplifyx.keypoints.folder import Pair, Pairing, keypoint_files, pair_folder
from smplifyx.keypoints.formats import read_document
from smplifyx.keypoints.frames import FrameChoice
from smplifyx.keypoints.layouts import AUTO
from smplifyx.keypoints.observation import KEYPOINT_SUFFIX, Observation
from smplifyx.keypoints.people import PersonSelection, piece_lacks, select_people
from smplifyx.keypoints.plausibility import without_misplaced
from smplifyx.keypoints.reading import KeypointFile, PersonKeypoints, people_of
from smplifyx.skeleton import HAND_KEYPOINTS
from smplifyx.words import count

#: Two pictures whose ratios of width to height differ less have one shape.
_SAME_SHAPE = 0.02


@dataclass(frozen=True)
class KeypointOptions:
    """Options for the reading of keypoint files.

    Attributes:
        layout: name of a layout, or ``auto``.
        frame: the picture that the points count in: ``upright``, ``stored`` (without the EXIF turn) or ``auto``.
        scale: factor on all coordinates.
        check: drop or correct points that do not belong to a body.
    """

    layout: str = AUTO
    frame: FrameChoice = "auto"
    scale: float = 1.0
    check: bool = True


@dataclass(frozen=True)
class Skipped:
    """An input that is skipped on purpose: a file without people, a person too small, a fragment."""

    path: Path
    person_index: int | None
    reason: str


@dataclass(frozen=True)
class Judgement:
    """Verdict of the photos of a folder together on all of its keypoints.

    Attributes:
        turn: people who lie in the upright picture and stand in the stored one belong to the stored one.
        size_uncertain: the keypoints may belong to photos of another size.
        notes: doubts, for the user to settle.
    """

    turn: bool = False
    size_uncertain: bool = False
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Loaded:
    """Observations and failures of a number of files.

    Attributes:
        observations: one per person, in the order of the images, largest person first.
        failures: an error for each image, keypoint file or person that is unusable.
        skipped: people who were skipped on purpose.
        notes: doubts about all the files together, for the user to settle.
        kinds: number of files of each format and layout.
        uncertain: photos whose people may be those of the stored picture, with their EXIF orientation.
        turned: number of photos with an EXIF turn whose keypoints were certainly those of the stored picture.
        upright: number of photos with an EXIF turn whose people stand in the upright picture.
        extents: the part of each photo that its people cover.
    """

    observations: tuple[Observation, ...] = ()
    failures: tuple[InputError, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    kinds: Mapping[tuple[str, str], int] = field(default_factory=dict)
    uncertain: Mapping[Path, int] = field(default_factory=dict)
    turned: int = 0
    upright: int = 0
    extents: tuple[frames.Extent, ...] = ()


def read_keypoints(
    path: str | Path,
    image: str | Path | None = None,
    *,
    image_size: tuple[int, int] | None = None,
    selection: PersonSelection | None = None,
    options: KeypointOptions | None = None,
) -> list[Observation]:
    """Read the people of a keypoint file, or of a folder of keypoint files, of any detector.

    Args:
        path: a keypoint file, or a folder of them.
        image: the photo, or the folder of photos; None: photos of the same name beside the keypoint files.
        image_size: (width, height) of the photos, pixels; without ``image`` no photo is read then.
        selection: which people to keep; None for all with enough keypoints.
        options: layout and frame of the keypoints; None to recognise them.

    Raises:
        InputError: a file cannot be used, or the photo is not found.
    """
    path, chosen, options = Path(path), selection or PersonSelection(), options or KeypointOptions()
    if image is None and image_size is not None:
        files = keypoint_files(path) if path.is_dir() else [path]
        header = images.PhotoHeader(image_size)
        loaded = merge_loaded(_load_file(file, None, header, chosen, options) for file in files)
    else:
        beside = path if path.is_dir() else path.parent
        pairing = pair_folder(beside if image is None else image, path)
        if not pairing.pairs:
            problem = f"expected a photo of the same name in {image or beside}, or image_size, found none"
            raise InputError(path, problem)
        loaded = load_pairs(pairing.pairs, chosen, options)
    if loaded.failures:
        raise loaded.failures[0]
    return list(loaded.observations)


def load_pairs(
    pairs: Sequence[Pair], selection: PersonSelection | None = None, options: KeypointOptions | None = None
) -> Loaded:
    """Read the people of some pairs, for example one shard of a folder; order and errors as in the input.

    The photos together tell whether the keypoints belong to photos of another size or to the unturned ones.
    """
    chosen, options = selection or PersonSelection(), options or KeypointOptions()
    uses = Counter(pair.keypoints for pair in pairs)
    documents = {path: document_of(path) for path, count in uses.items() if count > 1}

    def load(pair: Pair) -> Loaded:
        return load_pair(pair, chosen, options, documents.get(pair.keypoints))

    with ThreadPoolExecutor(n_usable_cores()) as pool:
        loaded = merge_loaded(pool.map(load, pairs))
    judgement = judge(loaded, options)
    return replace(judged(loaded, judgement), notes=(*loaded.notes, *judgement.notes))


def document_of(path: Path) -> Document | InputError:
    """The content of a keypoint file, or the error of reading it."""
    try:
        return read_document(path)
    except InputError as error:
        return error


def load_pair(
    pair: Pair,
    selection: PersonSelection,
    options: KeypointOptions | None = None,
    document: Document | InputError | None = None,
    header: images.PhotoHeader | None = None,
) -> Loaded:
    """Read the people of one photo; an unusable file comes back as a failure.

    Args:
        pair: the photo and its file.
        selection: which people to keep.
        options: layout and frame of the keypoints; None to recognise them.
        document: the content of the file, or the error of reading it; None to read it.
        header: of the photo, if it was read already; None: the photo is read and decoded to its end.
    """
    try:
        if header is None:
            header = images.read_header(pair.image)
            images.image_size(pair.image)  # notices a photo that is cut off
    except InputError as error:
        return Loaded(failures=(error,))
    chosen = options or KeypointOptions()
    return _load_file(pair.keypoints, pair.image, header, selection, chosen, pair.stem, document)


def _load_file(
    path: Path,
    image: Path | None,
    header: images.PhotoHeader,
    selection: PersonSelection,
    options: KeypointOptions,
    stem: str = "",
    document: Document | InputError | None = None,
) -> Loaded:
    """Read the people of a keypoint file, for an image of a known size."""
    size, orientation = header.size, header.orientation
    try:
        content = read_document(path) if document is None else document
        if isinstance(content, InputError):
            raise content
        file = people_of(content, options.layout, image=image, image_size=size)
        people, uncertain = _in_image(file, size, orientation, options)
        extent = frames.extent_of(people, size)
        inside = [frames.within_image(person, size) for person in people]
        frames.refuse_other_image(path, "the image" if image is None else image.name, people, inside, size)
    except InputError as error:
        return Loaded(failures=(error,))
    if options.check:
        inside = [without_misplaced(person) for person in inside]
    chosen, left_out = select_people(inside, selection)
    skipped = [Skipped(path, index, reason) for index, reason in left_out]
    if not file.people and not file.failures:
        skipped.append(Skipped(path, None, "no people in the file"))
    is_turned = any(frames.TURNED in person.flags for person in people)
    return Loaded(
        tuple(_observation(person, header, image, path, stem) for person in chosen),
        file.failures,
        tuple(skipped),
        kinds={(file.format, file.layout): 1} if file.layout else {},
        uncertain={image: orientation} if uncertain and image is not None else {},
        turned=int(is_turned),
        upright=int(orientation != 1 and not is_turned and frames.people_stand(people)),
        extents=() if extent is None else (extent,),
    )


def _observation(
    person: PersonKeypoints, header: images.PhotoHeader, image: Path | None, path: Path, stem: str
) -> Observation:
    focal_length = header.focal_length_px
    return Observation(
        keypoints=person.keypoints,
        image_size=header.size,
        camera=None if focal_length is None else Camera(focal_length, source="exif"),
        image_path=image,
        keypoint_path=path,
        person_index=person.index,
        gender=person.gender,
        stem=stem,
        warnings=person.warnings,
        flags=person.flags,
        points_3d=person.points_3d,
    )


def _in_image(
    file: KeypointFile, size: tuple[int, int], orientation: int, options: KeypointOptions
) -> tuple[list[PersonKeypoints], bool]:
    """The people in pixels of the upright image, and whether it is in doubt that they were found in it."""
    stored = (size[1], size[0]) if orientation in images.QUARTER_TURNS else size
    # Sizes in the file tell the frame, where one side is longer.
    ratio = None if file.size is None else file.size[0] / file.size[1]
    is_stored = ratio is not None and stored != size and abs(ratio * stored[1] / stored[0] - 1) < _SAME_SHAPE
    people = frames.scaled_people(file.people, file.size, stored if is_stored else size, options.scale)
    return frames.upright_people(people, orientation, size, options.frame, is_stored)


def judge(loaded: Loaded, options: KeypointOptions) -> Judgement:
    """Decide from many photos together which image frame and size the keypoints belong to."""
    notes = []
    # One detector made all files: a finding that is certain in one photo, and contradicted by none, holds for all.
    turn = loaded.turned > 0 and loaded.upright == 0
    if loaded.uncertain:
        photos = count(len(loaded.uncertain), "photo", "photos")
        first = next(iter(loaded.uncertain)).name
        if turn:
            others = count(loaded.turned, "other", "others")
            notes.append(
                f"people in {photos} lie in the upright picture and stand in the one without its EXIF "
                f"turn, as those of {others} certainly do: they are turned ({KEEP_UPRIGHT} "
                "keeps them)"
            )
        else:
            notes.append(
                f"people in {photos} ({first}) lie in the upright picture and would stand in the one "
                f"without its EXIF turn: if the detector ignored the turn, {CHOOSE_STORED}"
            )
    problem = frames.size_uncertain(loaded.extents) if options.scale == 1.0 else None
    if problem is not None:
        notes.append(f"{problem}; if so, {GIVE_SCALE}")
    return Judgement(turn, problem is not None, tuple(notes))


def judged(loaded: Loaded, judgement: Judgement) -> Loaded:
    """Apply the findings from many photos to the people of some."""
    observations = list(loaded.observations)
    if loaded.uncertain:
        turns = [None if one.image_path is None else loaded.uncertain.get(one.image_path) for one in observations]
        observations = [
            one if turn is None else _with_frame(one, turn, judgement.turn)
            for one, turn in zip(observations, turns, strict=True)
        ]
    if judgement.size_uncertain:
        observations = [replace(one, flags=(*one.flags, frames.SIZE_UNCERTAIN)) for one in observations]
    return replace(loaded, observations=tuple(observations))


def _with_frame(one: Observation, orientation: int, is_certain: bool) -> Observation:
    if not is_certain:
        return replace(one, flags=(*one.flags, frames.FRAME_UNCERTAIN))
    keypoints = frames.turned_upright(one.keypoints, orientation, one.image_size)
    return replace(one, keypoints=keypoints, flags=(*one.flags, frames.TURNED), points_3d=None)


def unpaired(pairing: Pairing, keypoints: Path) -> Loaded:
    """The files that no pair uses: a photo without keypoints is a failure, spare keypoints are skipped."""
    spare = [path.name for path in pairing.keypoints_without_image]
    names = ", ".join(spare[:3]) + (", ..." if len(spare) > 3 else "")
    others = f"; keypoint files without a photo: {names}" if spare else ""
    failures = [
        InputError(
            path,
            f"has no keypoint file; expected {keypoints / (path.stem + KEYPOINT_SUFFIX)}.json{others}",
        )
        for path in pairing.images_without_keypoints
    ]
    failures += [
        InputError(path, f"has the same name as {used.name}, which is used; expected one file per name")
        for path, used in pairing.ambiguous
    ]
    failures += [
        InputError(path, "has keypoints, but its ending is not that of a photo that can be read; convert it to JPEG")
        for path in pairing.unknown_images
    ]
    skipped = [Skipped(path, None, "no image of this name") for path in pairing.keypoints_without_image]
    return Loaded(failures=tuple(failures), skipped=tuple(skipped))


def merge_loaded(parts: Iterable[Loaded]) -> Loaded:
    """Put several results into one, in their order."""
    parts = list(parts)
    return Loaded(
        tuple(observation for part in parts for observation in part.observations),
        tuple(failure for part in parts for failure in part.failures),
        tuple(skipped for part in parts for skipped in part.skipped),
        tuple(note for part in parts for note in part.notes),
        dict(sum((Counter(part.kinds) for part in parts), Counter())),
        {path: orientation for part in parts for path, orientation in part.uncertain.items()},
        sum(part.turned for part in parts),
        sum(part.upright for part in parts),
        tuple(extent for part in parts for extent in part.extents),
    )


def split_hands(loaded: Loaded, selection: PersonSelection) -> Loaded:
    """Replace each person by its hands; hands that cannot be fitted are skipped.

    Args:
        loaded: whole people.
        selection: of the part ``hands``: the needs of a hand.
    """
    hands, skipped = [], []
    for one in loaded.observations:
        for side in HAND_KEYPOINTS:
            reason = piece_lacks(one.keypoints, f"{side} hand", selection)
            if reason is None:
                hands.append(_hand(one, side))
            else:
                skipped.append(Skipped(one.keypoint_path or one.image_file, one.person_index, reason))
    return replace(loaded, observations=tuple(hands), skipped=(*loaded.skipped, *skipped))


def _hand(person: Observation, side: str) -> Observation:
    keypoints = np.zeros_like(person.keypoints)
    keypoints[HAND_KEYPOINTS[side]] = person.keypoints[HAND_KEYPOINTS[side]]
    return replace(person, keypoints=keypoints, side=side)
