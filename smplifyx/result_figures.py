"""The figures of a fit that tables show."""

from __future__ import annotations

from dataclasses import dataclass

from smplifyx.result_fields import number_field, result_field, text_field


@dataclass(kw_only=True)
class FitFigures:
    """The figures of a fit that ``summary.csv`` shows. Unknown numbers are NaN, unknown counts -1."""

    status: str = text_field("``ok`` or ``failed``", default="ok", csv="", required=False)
    gender: str = text_field("``neutral``, ``male`` or ``female``", csv="")
    loss: float = number_field("final value of the objective", csv=".7g")
    reprojection_error_px: float = number_field(
        "confidence-weighted mean distance between observed and projected keypoints, pixels",
        csv=".2f",
        required=False,
    )
    n_keypoints: int = result_field(
        "int64", "observed keypoints that entered the fit", default=0, csv="d", required=False
    )
    seconds: float = number_field("time spent on this person", csv=".2f", required=False)
    flags: tuple[str, ...] = result_field("texts", "warnings about the quality of the fit", default=(), csv="")
    gender_source: str = text_field(
        "who decided the gender: ``given``, ``face``, ``body``, or ``fallback`` (neutral); empty if unknown",
        csv="",
        required=False,
    )
    gender_probability: float = number_field(
        "probability of the likelier gender, where a classifier was used", csv=".4f", required=False
    )
    gender_reason: str = text_field("why the body is neutral where that was not requested", csv="", required=False)
    expected_error_mm: float = number_field(
        "predicted mean distance of the surface from the truth after alignment, millimetres",
        csv=".0f",
        required=False,
    )
    penetration_mm: float = number_field(
        "depth of the deepest self-penetration, millimetres", csv=".1f", required=False
    )
    colliding_pairs: int = result_field(
        "int64", "pairs of triangles that intersect; -1 if not counted", default=-1, csv="d", required=False
    )
    side: str = text_field("``left`` or ``right`` of a hand that was fitted alone", csv="", required=False)
    camera_source: str = text_field(
        "origin of the focal length: ``given``, ``calibration``, ``exif``, ``fallback``", csv="", required=False
    )
    frame: int = result_field(
        "int64", "number of the frame in a sequence, from 0; -1 otherwise", default=-1, csv="d", required=False
    )
    track: int = result_field(
        "int64", "number of the person in a sequence, from 0; -1 otherwise", default=-1, csv="d", required=False
    )
    view: str = text_field("name of the calibrated camera, with ``--cameras``", csv="", required=False)
