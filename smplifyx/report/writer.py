"""Write the report of an output folder."""

from __future__ import annotations

import hashlib
import math
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import smplifyx
from smplifyx.child_processes import n_usable_cores
from smplifyx.errors import UsageError
from smplifyx.files import write_bytes
from smplifyx.keypoints.draw import BONES
from smplifyx.output import SummaryRow, complete_summary
from smplifyx.output.flags import FLAGS, badness, is_problem
from smplifyx.output.layout import person_name
from smplifyx.report.people import PeopleWriter, ReportLayout, person_id, photo_id, relative_url, write_script
from smplifyx.skeleton import CANONICAL_KEYPOINT_NAMES

#: People who get details, keypoints and a mesh unless another number is asked for: the worst ones.
DETAILED = 1000
#: People in the grid, and those of them with a thumbnail, the worst ones: a page can hold no million people, and a
#: folder that is packed should not get as many files.
_LISTED, _THUMBNAILS = 50_000, 10_000
#: The parts of the page that are the same for every report.
_PAGE = Path(__file__).parent / "page"
#: The code that makes the files of people.
_CODE = ("details.py", "people.py", "pictures.py")
#: Rows of people in a file.
_CHUNK = 1000
#: Files of people who are not in the report any more are removed once they are this old, seconds: runs that share
#: the folder may have written newer ones.
_OLD = 600.0


@dataclass(frozen=True)
class WrittenReport:
    """A report that was written.

    Attributes:
        page: the file to open.
        n_people, n_detailed: all people, and those with details.
        n_bytes: size of the report.
        remarks: sentences about missing parts.
    """

    page: Path
    n_people: int
    n_detailed: int
    n_bytes: int
    remarks: tuple[str, ...]


def write_report(
    root: str | Path,
    n_detailed: int = DETAILED,
    models: Path | None = None,
    anew: bool = False,
    threads: int | None = None,
    after_photo: Callable[[], None] | None = None,
) -> WrittenReport:
    """Write ``report/index.html`` and its files into an output folder; those of an earlier report are kept.

    Args:
        root: output folder of ``smplifyx fit``.
        n_detailed: number of people who get details, keypoints and a mesh, the worst ones.
        models: the only folder to take body models from; None for the usual places.
        anew: write all files again, not only those that changed or are of another version.
        threads: number of threads; None for as many as usable cores.
        after_photo: called after each photo; an exception of it ends the work.

    Raises:
        UsageError: the folder holds no people.
    """
    layout = ReportLayout(Path(root))
    everybody = sorted(complete_summary(layout.output)[0], key=badness, reverse=True)
    if not everybody:
        raise UsageError(f"{root} holds no people; expected an output folder of `smplifyx fit`")
    rows = everybody[: max(_LISTED, n_detailed)]
    fitted = [row for row in rows if row.status == "ok"]
    detailed = {person_id(row) for row in fitted[:n_detailed]}
    small = fitted[: max(_THUMBNAILS, n_detailed)]
    writer = PeopleWriter(layout, models, keep=not anew and _is_of_this_format(layout))
    by_photo = [list(people) for _, people in groupby(sorted(small, key=lambda row: row.key), lambda row: row.stem)]
    with ThreadPoolExecutor(threads or n_usable_cores()) as pool:
        try:
            for _ in pool.map(lambda people: writer.write_photo(people, detailed), by_photo):
                if after_photo is not None:
                    after_photo()
        except BaseException:  # of a full disk, for example
            pool.shutdown(cancel_futures=True)
            raise
    remarks = list(_remarks(layout, fitted, detailed, writer))
    if len(rows) < len(everybody):
        remarks.insert(0, f"The page lists the {len(rows):,} worst of {len(everybody):,} people.")
    _write_index(layout, rows)
    _write_about(layout, rows, remarks)
    for source in _page_files():
        write_bytes(layout.folder / source.name, source.read_bytes())
    _remove_others(layout, rows, detailed)
    return WrittenReport(layout.page, len(everybody), len(detailed), _size(layout.folder), tuple(remarks))


def _page_files() -> list[Path]:
    return [path for path in sorted(_PAGE.iterdir()) if path.suffix in (".html", ".css", ".js")]


def is_of_this_version(root: str | Path) -> bool:
    """Whether an output folder has a report that this code wrote, all but its figures."""
    layout = ReportLayout(Path(root))
    with suppress(OSError):
        return _is_of_this_format(layout) and all(
            (layout.folder / source.name).read_bytes() == source.read_bytes() for source in _page_files()
        )
    return False


def _is_of_this_format(layout: ReportLayout) -> bool:
    """Whether the files of people there were written by this code."""
    with suppress(OSError):
        return f'"format":"{_format()}"' in (layout.folder / "about.js").read_text(encoding="utf-8")
    return False


@cache
def _format() -> str:
    """A name for the content of the files of people: a hash of the code that makes it."""
    made = hashlib.blake2b(digest_size=8)
    for name in _CODE:
        with suppress(OSError):  # an installation without sources
            made.update(Path(__file__).with_name(name).read_bytes())
    return f"{smplifyx.__version__} {made.hexdigest()}"


def _remarks(
    layout: ReportLayout, fitted: Sequence[SummaryRow], detailed: set[str], writer: PeopleWriter
) -> Iterator[str]:
    """Sentences about missing parts of the report."""
    if len(detailed) < len(fitted):
        yield (
            f"Keypoints, plots and meshes of the {len(detailed):,} worst of {len(fitted):,} people: "
            f"smplifyx report OUTPUT --details {len(fitted)} adds those of all."
        )
    if (n_missing := sum(layout.overlay(row) is None for row in fitted)) > 0:
        yield (
            f"{n_missing:,} of {len(fitted):,} people have no pictures (--no-render); the page draws their bodies "
            "itself. The same fit command without --no-render makes pictures, without fitting again."
        )
    for problem, count in writer.problems.items():
        yield f"{problem}: {count:,}."


def _write_index(layout: ReportLayout, rows: Sequence[SummaryRow]) -> None:
    for number, start in enumerate(range(0, len(rows), _CHUNK)):
        people = [_entry(layout, row) for row in rows[start : start + _CHUNK]]
        write_script(layout.folder / "index" / f"{number}.js", "rows", {"number": number, "people": people})


def _entry(layout: ReportLayout, row: SummaryRow) -> dict[str, Any]:
    """A person in the grid; unknown and usual values are left out."""

    def address(*paths: Path | None) -> str | None:
        """Of the first file that is there."""
        found = (path for path in paths if path is not None and path.is_file())
        return next((relative_url(path, layout.folder) for path in found), None)

    values: dict[str, Any] = {
        "id": person_id(row),
        "photo": shown_name(row.stem),
        "person": person_name(row.person, row.side),
        "status": row.status if row.status != "ok" else None,
        "gender": row.gender,
        "error": _rounded(row.expected_error_mm, 0),
        "pixels": _rounded(row.reprojection_error_px, 1),
        "loss": _rounded(row.loss, 0),
        "seconds": _rounded(row.seconds, 2),
        "keypoints": row.n_keypoints,
        "penetration": _rounded(row.penetration_mm, 1),
        "flags": list(row.flags),
        "camera": row.camera_source,
        "reason": row.gender_reason,
        "frame": row.frame if row.frame >= 0 else None,
        "track": str(row.track) if row.track >= 0 else None,
        "view": row.view,
        "thumbnail": address(layout.thumbnail(row)),
        "details": address(layout.person(row)),
        "overlay": address(layout.overlay(row), layout.unpacked_overlay(row)),
        "side": address(layout.side_view(row)),
        "extra": {shown_name(name): shown_name(value) for name, value in row.extra.items()},
    }
    return {name: value for name, value in values.items() if value not in (None, "", [], {})}


def shown_name(name: str) -> str:
    """A file name as text; bytes that are not UTF-8 become replacement characters."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _write_about(layout: ReportLayout, rows: Sequence[SummaryRow], remarks: Sequence[str]) -> None:
    errors = [row.expected_error_mm for row in rows if math.isfinite(row.expected_error_mm)]
    flags = Counter(flag for row in rows for flag in row.flags)
    values = {
        "version": smplifyx.__version__,
        "format": _format(),
        "folder": shown_name(Path(layout.output.root).absolute().name),
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "people": len(rows),
        "photos": len({row.stem for row in rows}),
        "tracks": len({row.track for row in rows if row.track >= 0}),
        "failed": sum(row.status != "ok" for row in rows),
        "doubtful": sum(row.status == "ok" and any(map(is_problem, row.flags)) for row in rows),
        "median": _rounded(statistics.median(errors), 0) if errors else None,
        "chunks": math.ceil(len(rows) / _CHUNK),
        "remarks": list(remarks),
        "flags": {name: _explained(name) | {"count": count} for name, count in flags.most_common()},
        "keypoints": [name.replace("_", " ") for name in CANONICAL_KEYPOINT_NAMES],
        "bones": [list(bone) for bone in BONES],
    }
    write_script(layout.folder / "about.js", "about", values)


def _explained(name: str) -> dict[str, Any]:
    if name not in FLAGS:
        return {"title": name.replace("_", " "), "meaning": "", "problem": True}
    one = FLAGS[name]
    return {"title": one.title, "meaning": one.meaning, "problem": one.is_problem}


def _remove_others(layout: ReportLayout, rows: Sequence[SummaryRow], detailed: set[str]) -> None:
    """Remove old files of people and photos that are not in the report."""
    ids = {person_id(row) for row in rows}
    wanted = {
        "thumbnails": ids,
        "people": detailed,
        "overlays": detailed,
        "photos": {photo_id(row.stem) for row in rows},
    }
    now = time.time()
    for kind, names in wanted.items():
        for path in (layout.folder / kind).glob("*/*"):
            with suppress(OSError):
                if path.stem not in names and now - path.stat().st_mtime > _OLD:
                    path.unlink()
    for path in (layout.folder / "index").glob("*.js"):
        if not path.stem.isdecimal() or int(path.stem) >= math.ceil(len(rows) / _CHUNK):
            path.unlink(missing_ok=True)


def _size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for path, _, files in os.walk(folder):
        for name in files:
            with suppress(OSError):
                total += os.stat(os.path.join(path, name)).st_size
    return total


def _rounded(value: float, digits: int) -> float | int | None:
    if not math.isfinite(value):
        return None
    return round(value, digits) if digits else round(value)
