"""Errors that a user can act on: they name the file, the field and the expectation."""

from __future__ import annotations

from pathlib import Path

#: Advice in messages about inputs; the command line names the option instead.
GIVE_LAYOUT = "give the layout"
GIVE_SCALE = "give a keypoint scale"
KEEP_UPRIGHT = "keypoint frame upright"
CHOOSE_STORED = "choose the keypoint frame stored"
FIT_CLIPS = "fit frames as clips"
FIT_VIDEO = "fit it as a clip"


class SmplifyxError(Exception):
    """Base class of every error that the command line shows without a traceback."""


class UsageError(SmplifyxError):
    """The call itself is wrong: an unknown option, a bad value, a missing folder."""


class InputError(SmplifyxError):
    """One input is unusable; other inputs are not affected.

    Args:
        path: the file; None for values that no file holds.
        problem: the fault and the expectation, in one sentence.
        field: the part of the input that is wrong, for example ``people[0].pose_keypoints_2d``.
    """

    def __init__(self, path: str | Path | None, problem: str, field: str | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.problem = problem
        self.field = field
        super().__init__(": ".join(str(part) for part in (self.path, field, problem) if part is not None))

    def __reduce__(self) -> tuple[type[InputError], tuple[Path | None, str, str | None]]:
        """Travel between processes with all parts."""
        return type(self), (self.path, self.problem, self.field)


class OutputError(SmplifyxError):
    """Nothing can be written any more: the disk is full. Files that are written stay."""


def reason(error: Exception) -> str:
    """Describe in one line why a library could not read a file.

    Advice to load the file unsafely, which could run code from it, is replaced.
    """
    if isinstance(error, OSError) and error.strerror:  # its own text repeats the path
        return error.strerror
    text = str(error).strip()
    if any(advice in text for advice in ("allow_pickle", "weights_only", "safe_globals")):
        return "it is damaged or holds pickled objects, which are never loaded because that could run code"
    return text.splitlines()[0] if text else type(error).__name__
