"""Fields of a result: their description, and their form in the .npz and in ``summary.csv``."""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Collection, Sequence
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from smplifyx.errors import InputError, reason

#: ``texts`` are several strings; ``figures`` are numbers or arrays by name, stored as two arrays.
Kind = Literal["text", "texts", "figures", "float32", "int64", "bool"]
Shape = tuple[int | str, ...]

#: The entries that hold the names of figures.
NAMES_OF_FIGURES = {
    "losses": "loss_names",
    "stage_term_losses": "stage_term_names",
    "quality_features": "quality_feature_names",
}
_FLAG_SEPARATOR = ";"


@dataclass(frozen=True)
class ResultField:
    """One field of a result.

    Attributes:
        name: attribute of :class:`FitResult`, key of the .npz and, with ``csv``, column of ``summary.csv``.
        kind: type of the value; numbers are stored with this dtype.
        shape: of an array, in the numbers of SMPL-X; J are the model's joints, S the stages, E the
            numbers of a VPoser code. ``()`` for one value.
        meaning: description with units.
        csv: format of its column in ``summary.csv``, as for :func:`format`; None without a column.
        required: whether every .npz of a model that has it must hold it.
    """

    name: str
    kind: Kind
    shape: Shape
    meaning: str
    csv: str | None = None
    required: bool = True


def result_field(
    kind: Kind, meaning: str, *shape: int | str, default: Any = MISSING, csv: str | None = None, required: bool = True
) -> Any:
    """A field of :class:`FitResult`, see :class:`ResultField`; ``default`` may be a function that makes the value."""
    about = {"kind": kind, "shape": shape, "meaning": meaning, "csv": csv, "required": required}
    if callable(default):
        return field(default_factory=default, metadata=about)
    return field(default=default, metadata=about)


def text_field(meaning: str, default: Any = "", csv: str | None = None, required: bool = True) -> Any:
    """A text."""
    return result_field("text", meaning, default=default, csv=csv, required=required)


def number_field(meaning: str, csv: str | None = None, required: bool = True) -> Any:
    """One number, single precision, by default NaN."""
    return result_field("float32", meaning, default=math.nan, csv=csv, required=required)


def array_field(meaning: str, *shape: int | str, default: Any = MISSING, required: bool = True) -> Any:
    """An array, single precision."""
    return result_field("float32", meaning, *shape, default=default, required=required)


def absent() -> np.ndarray:
    """An empty array for a field that a model does not have."""
    return np.zeros(0, np.float32)


#: End of the central directory of a .zip without comment: signature, 8 bytes, size and place of the directory.
_ZIP_END = struct.Struct("<4s8xIIH")


def is_intact(path: str | Path, offset: int = 0, size: int | None = None) -> bool:
    """Whether a result file is complete, by the ends of its .zip; its content is not read.

    Args:
        path: the file, or an archive that holds it.
        offset, size: its place in the archive, bytes.
    """
    try:
        with open(path, "rb") as stream:
            size = stream.seek(0, os.SEEK_END) if size is None else size
            stream.seek(offset)
            start = stream.read(4)
            stream.seek(offset + size - _ZIP_END.size)
            signature, length, place, comment = _ZIP_END.unpack(stream.read(_ZIP_END.size))
    except (OSError, ValueError, struct.error):
        return False
    complete = place + length + _ZIP_END.size == size and not comment
    return start == b"PK\x03\x04" and signature == b"PK\x05\x06" and complete


def format_figure(one: ResultField, value: Any) -> str:
    """Text of a value in ``summary.csv``; empty for an unknown number."""
    if one.kind == "text":
        return str(value)
    if one.kind == "texts":
        return _FLAG_SEPARATOR.join(value)
    return "" if math.isnan(value) or (one.kind == "int64" and value < 0) else format(value, one.csv or "")


def parse_figure(one: ResultField, text: str) -> Any:
    """Value of a text in ``summary.csv``; the inverse of :func:`format_figure`.

    Raises:
        ValueError: the text is not a number where one is expected.
    """
    if one.kind == "text":
        return text
    if one.kind == "texts":
        return tuple(flag for flag in text.split(_FLAG_SEPARATOR) if flag)
    if one.kind == "int64":
        return int(text) if text else -1
    return float(text) if text else math.nan


def fields_as_markdown(fields: Sequence[ResultField]) -> str:
    """The table of the documentation: a line for each field."""
    lines = ["| field | type | shape | in summary.csv | meaning |", "|---|---|---|---|---|"]
    kinds = {"text": "string", "texts": "strings"}
    for one in fields:
        shape = " x ".join(map(str, one.shape))
        column = "" if one.csv is None else "yes"
        meaning = one.meaning.replace("``", "`")
        kind = kinds.get(one.kind, one.kind)
        if one.kind == "figures":
            kind = "arrays by name" if one.shape else "numbers by name"
            meaning += f" (names: `{NAMES_OF_FIGURES[one.name]}`)"
        lines.append(f"| `{one.name}` | {kind} | {shape} | {column} | {meaning} |")
    return "\n".join(lines) + "\n"


def stored_entries(one: ResultField, value: Any) -> dict[str, np.ndarray]:
    """Entries of the .npz for one value."""
    if one.kind == "figures":
        names = np.array([*value], np.str_)
        numbers = np.array([*value.values()], np.float32) if value else np.zeros((0,) * (1 + len(one.shape)))
        return {NAMES_OF_FIGURES[one.name]: names, one.name: numbers.astype(np.float32)}
    dtype = np.str_ if one.kind in ("text", "texts") else np.dtype(one.kind)
    return {one.name: np.array(value, dtype)}


def loaded_value(path: Path, stored: dict[str, np.ndarray], one: ResultField, shape: Shape) -> Any:
    """Value of one field of the .npz."""
    if one.kind == "text":
        return stored_text(path, stored, one.name)
    if one.kind == "texts":
        return tuple(str(text) for text in np.atleast_1d(stored[one.name]))
    if one.kind == "figures":
        names = stored.get(NAMES_OF_FIGURES[one.name], np.zeros(0, np.str_))
        numbers = _stored_numbers(path, stored, one.name, (len(names), *shape))
        return dict(zip(map(str, names), numbers if shape else numbers.tolist(), strict=True))
    numbers = _stored_numbers(path, stored, one.name, shape)
    if shape:
        return numbers
    return {"float32": float, "int64": int, "bool": bool}[one.kind](numbers)


#: Bytes of the largest field that is read; those of a result have some thousand.
_LARGEST_FIELD = 64 << 20


def read_entries(path: Path, data: bytes, wanted: Collection[str]) -> dict[str, np.ndarray]:
    """Read the wanted arrays of a result file, as far as it has them; others are not unpacked.

    Args:
        path: names the file in messages.
        data: its content.
        wanted: names of the arrays.

    Raises:
        InputError: the file is damaged, or an array is too large to belong to a result.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            sizes = {one.filename.removesuffix(".npy"): one.file_size for one in archive.zip.infolist()}
            names = [name for name in archive.files if name in wanted]
            large = next((name for name in names if sizes.get(name, 0) > _LARGEST_FIELD), None)
            if large is not None:
                raise InputError(path, f"has {sizes[large]} bytes; expected at most {_LARGEST_FIELD}", large)
            return {name: archive[name] for name in names}
    except InputError:
        raise
    # a damaged archive fails in zipfile, zlib, the decoder or numpy, each with errors of its own
    except Exception as error:
        raise InputError(path, f"is damaged or not a result file (.npz): {reason(error)}") from error


def _stored_numbers(path: Path, stored: dict[str, np.ndarray], name: str, shape: Shape) -> np.ndarray:
    value = stored[name]
    fits = value.ndim == len(shape) and all(
        isinstance(want, str) or want == have for want, have in zip(shape, value.shape, strict=True)
    )
    if not fits or value.dtype.kind not in "fiub":
        wanted = " x ".join("any" if isinstance(length, str) else str(length) for length in shape) or "one number"
        raise InputError(path, f"has shape {value.shape} and type {value.dtype}; expected numbers, {wanted}", name)
    return value


def stored_text(path: Path, stored: dict[str, np.ndarray], name: str) -> str:
    """Return a text of a result file; raises :class:`InputError` where it is missing or is none."""
    if name not in stored:
        raise InputError(path, "is missing; it belongs to every result", name)
    if stored[name].ndim or stored[name].dtype.kind != "U":
        raise InputError(path, f"has type {stored[name].dtype}; expected a string", name)
    return str(stored[name])
