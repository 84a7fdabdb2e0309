"""The photos of a run: listed by name, divided among shards, without those that are finished."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from smplifyx.camera import DEFAULT_ENTRY, Camera
from smplifyx.config import Config, RunOptions
from smplifyx.errors import InputError
from smplifyx.keypoints import Loaded, Pair, Pairing, merge_loaded, pair_folder, unpaired
from smplifyx.keypoints.folder import image_files, keypoint_path
from smplifyx.keypoints.images import read_header
from smplifyx.keypoints.loading import Judgement, Skipped, document_of, judge, load_pair
from smplifyx.output.layout import OutputLayout, PersonKey, person_key
from smplifyx.packs import Packs
from smplifyx.pipeline.choices import keypoint_options, selection_of
from smplifyx.pipeline.digests import file_stamp
from smplifyx.pipeline.journal import PhotoRecord, camera_figures
from smplifyx.pipeline.shards import shards_of
from smplifyx.pipeline.units import Failure, Job, Unit
from smplifyx.result_fields import is_intact

#: Photos that are read before the run, spread over the folder, to judge its keypoints.
_SAMPLE = 100
#: Threads that read the sample, mostly waiting for the file system.
_READERS = 8


@dataclass(frozen=True)
class WorkList:
    """The photos of a shard.

    Attributes:
        units: the photos, in natural order.
        n_photos: photos of the whole folder.
        failures: photos that cannot be worked on, such as those without keypoints; reported by the first shard.
        skipped: spare files; reported by the first shard.
        stems: names of all photos of the folder.
    """

    units: list[Unit]
    n_photos: int
    failures: tuple[Failure, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    stems: frozenset[str] = frozenset()


def list_work(run: RunOptions, calibration: Mapping[str, Camera]) -> tuple[WorkList, list[Pair]]:
    """List the photos of a shard by their names; no photo is opened.

    Shards are disjoint, have about as many people as each other, and are the same for each call.

    Returns:
        The work, and the pairs of the whole folder, of which a sample is judged; none where people are detected.

    Raises:
        UsageError: a folder does not exist, or there is no photo.
    """
    assert run.images is not None
    if run.keypoints is None:
        pairing = _photos_alone(image_files(run.images))
    else:
        pairing = pair_folder(run.images, run.keypoints)
    uses = Counter(pair.keypoints for pair in pairing.pairs)
    units = [
        Unit(
            pair.stem,
            pair.image.absolute(),
            None if run.keypoints is None else pair.keypoints.absolute(),
            is_shared=uses[pair.keypoints] > 1,
            camera=calibration.get(pair.stem) or calibration.get(DEFAULT_ENTRY),
        )
        for pair in pairing.pairs
    ]
    stems = frozenset(unit.stem for unit in units) | {path.stem for path in pairing.images_without_keypoints}
    chosen = [
        unit for unit, shard in zip(units, shards_of(units, run.num_shards), strict=True) if shard == run.shard_index
    ]
    pairs = [] if run.keypoints is None else list(pairing.pairs)
    if run.shard_index:
        return WorkList(chosen, len(units), stems=stems), pairs
    others = unpaired(pairing, run.keypoints or run.images)
    failures = tuple(Failure(str(error.path), error.problem) for error in others.failures)
    return WorkList(chosen, len(units), failures, others.skipped, stems), pairs


def _photos_alone(photos: Sequence[Path]) -> Pairing:
    """Photos whose people are detected; of two with the same name, the first is used."""
    first: dict[str, Path] = {}
    for photo in photos:
        first.setdefault(photo.stem, photo)
    doubled = tuple((photo, first[photo.stem]) for photo in photos if first[photo.stem] != photo)
    return Pairing(tuple(Pair(stem, photo, photo) for stem, photo in first.items()), ambiguous=doubled)


def judge_sample(pairs: Sequence[Pair], config: Config, run: RunOptions) -> Judgement:
    """Judge the keypoints of a folder by a sample that is spread over all of it, the same for all shards.

    Only headers of photos and their keypoint files are read.
    """
    sample = pairs[:: max(1, -(-len(pairs) // _SAMPLE))]
    selection, options = selection_of(config), replace(keypoint_options(run), check=False)
    uses = Counter(pair.keypoints for pair in sample)
    documents = {path: document_of(path) for path, count in uses.items() if count > 1}

    def load(pair: Pair) -> Loaded:
        try:
            header = read_header(pair.image)
        except InputError:
            return Loaded()
        return load_pair(pair, selection, options, documents.get(pair.keypoints), header)

    with ThreadPoolExecutor(_READERS) as pool:
        return judge(merge_loaded(pool.map(load, sample)), options)


@dataclass
class Finished:
    """Photos that are finished already and were left out.

    Attributes:
        n_photos, n_people: their number.
        n_other_settings: people who were fitted with other settings.
    """

    n_photos: int = 0
    n_people: int = 0
    n_other_settings: int = 0


def unfinished(
    units: Collection[Unit], job: Job, context: str, records: Mapping[str, PhotoRecord], finished: Finished
) -> Iterator[Unit]:
    """Yield the photos that are not finished; looks at names, sizes and times of files, and opens results only.

    Args:
        units: the photos of the shard.
        job: the job.
        context: hash of the settings that choose the people of a photo.
        records: finished photos of earlier runs, and counts.
        finished: counts the photos that are left out.
    """
    layout, config = OutputLayout.of(job.run.output, job.config.output), job.config
    packs = packs_of(layout, units)
    for unit in units:
        record = records.get(unit.stem)
        if record is None or record.context != context or not _is_current(unit, record, layout, packs, config):
            yield replace(unit, packed=packs.of_photo(unit.stem))
            continue
        finished.n_photos += 1
        finished.n_people += len(record.people)
        finished.n_other_settings += record.others(job.settings_digest)


def packs_of(layout: OutputLayout, units: Collection[Unit]) -> Packs:
    """The packed files of some photos."""
    return Packs.of_folder(layout.root, {unit.stem for unit in units})


def _is_current(unit: Unit, record: PhotoRecord, layout: OutputLayout, packs: Packs, config: Config) -> bool:
    """Whether a photo has not changed since it was finished, and all of its files are there."""
    keypoints = unit.keypoints or keypoint_path(unit.image, layout.keypoints_path)
    if file_stamp(unit.image) != record.photo or file_stamp(keypoints) != record.keypoints:
        return False
    if camera_figures(unit.camera) != record.camera:
        return False
    keys = [key for name in record.people if (key := person_key(unit.stem, name)) is not None]
    if len(keys) < len(record.people) or not all(_has_result(key, layout, packs) for key in keys):
        return False
    if any(layout.missing(key, config.body.model, config.output, packs) for key in keys):
        return False
    return not keys or not config.output.render or packs.has(layout.photo_overlay_path(keys))


def _has_result(key: PersonKey, layout: OutputLayout, packs: Packs) -> bool:
    """Whether a person has a result that is not cut off."""
    path = layout.result_path(*key)
    place = None if path.is_file() else packs.place(path)
    return is_intact(*(place or (path,)))
