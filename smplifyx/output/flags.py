"""The flags of results in plain words, and the order of people by how bad their fits look."""

from __future__ import annotations

import math
from typing import NamedTuple

from smplifyx.output.summary import SummaryRow


class Flag(NamedTuple):
    """A flag of a result.

    Attributes:
        title: some words that follow the name of a person.
        meaning: sentences for the user: the reason, and the remedy.
        is_problem: whether the fit may be bad; otherwise it reports a correction, or is often harmless.
    """

    title: str
    meaning: str
    is_problem: bool = True


FLAGS: dict[str, Flag] = {
    "not_converged": Flag(
        "the last stage reached its limit of iterations",
        "Often good all the same. --optimizer.max_iterations 1000 gives the fit more time.",
        is_problem=False,
    ),
    "high_reprojection_error": Flag(
        "body keypoints are far off on average",
        "The body misses its keypoints by more than 4 % of the person's size (a hand or a head: 1 %). Check the "
        "keypoints: they may mix two people or swap sides, or the pose may be one that the priors do not know.",
    ),
    "outlying_keypoint": Flag(
        "one body keypoint is far off",
        "A body keypoint of which the detector was sure is missed by more than 12 % of the person's size. Either it "
        "is wrong, or the limb is.",
    ),
    "swapped_arms": Flag(
        "left and right arm were exchanged in the keypoints",
        "The detector had confused the arms; they were exchanged before the fit. Check the overlay.",
        is_problem=False,
    ),
    "swapped_legs": Flag(
        "left and right leg were exchanged in the keypoints",
        "The detector had confused the legs; they were exchanged before the fit. Check the overlay.",
        is_problem=False,
    ),
    "bridged": Flag(
        "the person was not observed in this frame of the sequence",
        "The body lies between those of the neighbouring frames.",
        is_problem=False,
    ),
    "outlier_frame": Flag(
        "the keypoints of this frame contradict the other frames",
        "They were left out, and the body lies between those of the neighbouring frames. Where people move much from "
        "frame to frame, check --fps.",
    ),
    "view_disagrees": Flag(
        "this camera contradicts the others",
        "Its keypoints of this frame were left out. If it happens in many frames, check the calibration.",
    ),
    "few_keypoints": Flag(
        "fewer than 10 body keypoints are visible",
        "Most of the body is a guess of the priors. --min-keypoints 10 leaves such people out.",
    ),
    "self_penetration": Flag(
        "a part of the body is deep inside another",
        "A part is more than 15 mm inside another one, and resolving it would cost the other terms too much. Often a "
        "hand on a thigh, and good otherwise. --collision.max_loss_increase null always resolves it.",
    ),
    "collision_limit": Flag(
        "too many pairs of triangles collide",
        "With --collision.rounds 0 alone, at most 32,768 pairs count. Some collisions of the body may remain.",
    ),
    "behind_camera": Flag("the pelvis is behind the camera", "The fit is wrong: discard it."),
    "no_keypoints": Flag("no keypoint of the body model was seen", "Nothing was fitted. Check the keypoints."),
    "not_finite": Flag("the optimisation diverged", "There is no result. Check the keypoints."),
    "error": Flag("the fit broke off with an error", "The log of the run has the reason."),
    "not_written": Flag("the files could not be written", "The log of the run has the reason."),
    "hand_dropped": Flag(
        "a hand's keypoints were dropped",
        "They lie elsewhere than the wrist, or both hands have the same ones. That hand's pose is a guess.",
        is_problem=False,
    ),
    "hands_swapped": Flag(
        "the keypoints of the hands were exchanged", "Each hand lay at the other wrist.", is_problem=False
    ),
    "hand_moved": Flag(
        "a hand's keypoints were given to the other hand", "They lay at the other wrist.", is_problem=False
    ),
    "face_dropped": Flag(
        "the face's keypoints were dropped", "They lie elsewhere than nose, eyes and ears.", is_problem=False
    ),
    "point_replaced": Flag(
        "neck or middle of the hips was corrected",
        "It lay far from the middle of shoulders or hips, which took its place.",
        is_problem=False,
    ),
    "point_dropped": Flag(
        "a body keypoint was dropped", "All of its bones were impossibly long.", is_problem=False
    ),
    "person_found_twice": Flag(
        "the keypoint file has this person twice", "The entry with less evidence was left out.", is_problem=False
    ),
    "frame_turned": Flag(
        "the keypoints were turned upright",
        "They belonged to the photo without its EXIF turn. --keypoint-frame decides.",
        is_problem=False,
    ),
    "frame_uncertain": Flag(
        "the keypoints may belong to the photo without its EXIF turn",
        "The person lies in the upright photo. Check the overlay; --keypoint-frame decides.",
    ),
    "keypoints_scaled": Flag(
        "the keypoints were scaled to the photo", "Their file names another size of the photo.", is_problem=False
    ),
    "size_uncertain": Flag(
        "the keypoints may belong to a photo of another size",
        "Check the overlay; --keypoint-scale sets the factor.",
    ),
}  # fmt: skip


def flag_title(name: str) -> str:
    """The flag in some words; the name itself where it is unknown."""
    return FLAGS[name].title if name in FLAGS else name.replace("_", " ")


def is_problem(name: str) -> bool:
    """Whether the flag says that a fit may be bad; unknown flags count."""
    return name not in FLAGS or FLAGS[name].is_problem


def badness(row: SummaryRow) -> tuple[bool, float, int, float]:
    """Order of people: failed ones are worst; then the expected error, flags and reprojection error decide."""
    unknown = -1.0  # of a hand or a head
    error = row.expected_error_mm if math.isfinite(row.expected_error_mm) else unknown
    reprojection = row.reprojection_error_px if math.isfinite(row.reprojection_error_px) else unknown
    return row.status != "ok", error, sum(is_problem(flag) for flag in row.flags), reprojection


def reason_to_look(row: SummaryRow) -> str:
    """The figures and flags of a person that may mean a bad fit, in a line."""
    parts = [flag_title(flag) for flag in row.flags if is_problem(flag)]
    if row.status != "ok":
        return "; ".join(["failed", *parts])
    if math.isfinite(row.reprojection_error_px):
        parts.insert(0, f"reprojection error {row.reprojection_error_px:.1f} px")
    if math.isfinite(row.expected_error_mm):
        parts.insert(0, f"expected error {row.expected_error_mm:.0f} mm")
    return "; ".join(parts)
