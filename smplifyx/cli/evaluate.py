"""``smplifyx evaluate``: benchmarks, ablations and checks without truth."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import get_args

from smplifyx.cli.evaluate_sequences import add_multiview, add_sequences
from smplifyx.cli.evaluation_options import add_action, add_detector, add_fit, add_output, add_scenes, set_run
from smplifyx.cli.options import natural, positive
from smplifyx.config.schema import BodyPosePriorName
from smplifyx.errors import UsageError

_DESCRIPTION = """Fit people whose bodies are known and measure the errors: the
two tables of the SMPLify-X paper and the metrics that later papers use. Fits
that exist with the same settings are used again."""

_EHF = """Evaluate on the EHF data as distributed: NN_img.jpg or .png,
NN_2Djnt.json, NN_align.ply. Needs licensed SMPL-X files (--models). For hands,
face and the 14 joints put MANO_SMPLX_vertex_ids.pkl,
SMPL-X__FLAME_vertex_ids.npy and SMPLX_to_J14.pkl into --vertex-sets; otherwise
the parts come from the skinning weights.

examples:
  smplifyx evaluate ehf --data EHF --models MODELS
  smplifyx evaluate ehf --data EHF --models MODELS --config paper"""

_OPEN = """Evaluate on a benchmark without licences, made from a seed: people
with shapes from Anny's full shape space, in motion-captured poses
(--mocap FILE) or mild random ones, hands and faces in motion, seen by many
cameras through a simulated detector. OUTPUT/benchmark holds it in EHF's layout,
so that any program can be run on it; `smplifyx evaluate results` compares
results with the truth.

examples:
  smplifyx evaluate open
  smplifyx evaluate open --people 20 --only full --no-noise
  smplifyx evaluate open --mocap cmu_body_pose.npz --detector correlated"""

_VIEWS = """Fit each photo of one person by several calibrated cameras alone.
Compare it with the person triangulated from all views, and the fits of
different views with each other."""

_RESULTS = """Compare results of any program with known bodies. RESULTS holds
for each frame NN one mesh (.obj, .ply), one SMPLify-X pickle or one of our
.npz: NN.obj, NN_*.obj, NN/000.obj, results/NN_img/000.pkl and the like. --truth
is a folder in EHF's layout, such as the open benchmark's."""

_PHOTOS = """Judge a folder that `smplifyx fit` wrote, without truth: missed
keypoints, people who face the wrong way, joints bent backwards, and the worst
people by name. With --sheets, put photo, overlay and side view of everyone on
sheets to look through.

example:
  smplifyx evaluate photos output --sheets sheets"""

_DETECTIONS = """Compare detected keypoints with reference keypoints of the same
photos: people found, people who are not in the reference, and the distances of
the points they share, in percent of the person's box. Both folders may have the
files of any detector.

example:
  smplifyx detect --images photos --keypoints found
  smplifyx evaluate detections found --images photos --reference keypoints"""

_PRIORS = """Fit the same people with each body-pose prior: errors, and joints
that bend backwards. With --people: synthetic people; with --balancing or
--seated: single views of calibrated scenes, against the person triangulated
from all views.

example:
  smplifyx evaluate priors --people 96 --mocap cmu_body_pose.npz"""

_GENDER = """Fit men and women with the body of their own gender, the neutral
one and the other gender's. Their shapes come from Anny's full shape space
(needs the package anny), so that no body can express them exactly."""

_COLLISIONS = """Fit people who touch themselves without and with the
self-collision term: penetration, keypoints, surface, pictures. The poses take
minutes to find; they are kept in the output folder."""

_SYNTHETIC = """Fit synthetic people of the body model: a table of all people,
then mean, median and worst errors."""

_RESTARTS = """Convergence of fits: synthetic people, or the people of photos, are
fitted again from perturbed starts; with keypoints moved by up to a
ten-thousandth of a pixel, with and without self-collisions; and alone, in
batches of seven, and as copies.

examples:
  smplifyx evaluate restarts --mocap cmu_body_pose.npz
  smplifyx evaluate restarts --photos FOLDER"""

_Parser = argparse.ArgumentParser
_Actions = argparse._SubParsersAction


def add_parser(commands: _Actions[_Parser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("evaluate", help="benchmarks and ablations", description=_DESCRIPTION)
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True, title="what")
    _add_ehf(actions)
    _add_open(actions)
    _add_views(actions)
    _add_results(actions)
    _add_photos(actions)
    _add_detections(actions)
    _add_priors(actions)
    _add_gender(actions)
    _add_collisions(actions)
    _add_synthetic(actions)
    _add_restarts(actions)
    add_sequences(actions)
    add_multiview(actions)


def _add_ehf(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "ehf", "tables 1 and 2 of the paper on EHF", _EHF)
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of EHF")
    _add_gender_option(parser, "male", "of the person in the photos")
    _add_trials(parser, ["paper", "true"])
    set_run(parser, "run_evaluation.evaluate_ehf")


def _add_open(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "open", "the same on a benchmark without licences", _OPEN)
    _add_people(parser, 100)
    parser.add_argument(
        "--shapes",
        choices=("anny", "components"),
        default="anny",
        help="Anny's full shape space, or the body model's own ten components (default: %(default)s)",
    )
    add_detector(parser, "independent")
    parser.add_argument(
        "--from-photos",
        action="store_true",
        help="fit the keypoints that `smplifyx detect` finds in the rendered photos, not the simulated ones",
    )
    parser.add_argument("--only-make", action="store_true", help="write the benchmark and fit nothing")
    parser.add_argument("--no-noise", action="store_true", help="leave out the fits at several noise levels")
    _add_trials(parser, ["config", "true"])
    set_run(parser, "run_evaluation.evaluate_open")


def _add_views(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "views", "single views against all calibrated views", _VIEWS)
    add_scenes(parser)
    _add_gender_option(parser, "neutral", "of the body model")
    _add_trials(parser, ["config"])
    set_run(parser, "run_evaluation.evaluate_views", ("balancing", "seated"), _check_scenes)


def _add_results(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "results", "results of any program against the truth", _RESULTS, settings=False)
    parser.add_argument("results", metavar="RESULTS", type=Path, help="folder of meshes or parameters")
    parser.add_argument("--truth", metavar="DIR", type=Path, required=True, help="folder in EHF's layout")
    _add_gender_option(parser, "neutral", "of the body model, for pickles that do not name it")
    parser.add_argument("--vposer", metavar="FILE", help="VPoser of the codes in pickles (default: the shipped one)")
    parser.add_argument(
        "--mesh-axes",
        choices=("smplifyx", "camera"),
        default="smplifyx",
        help="meshes are turned by 180 degrees about x, as SMPLify-X writes them, or in the camera's axes "
        "(default: %(default)s)",
    )
    _add_folders(parser)
    set_run(parser, "run_evaluation.evaluate_results")


def _add_photos(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "photos", "results of ordinary photos, without truth", _PHOTOS, settings=False)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="output folder of `smplifyx fit`")
    parser.add_argument("--worst", metavar="N", type=natural, default=10, help="people named (default: %(default)s)")
    parser.add_argument("--sheets", metavar="DIR", type=Path, help="also write picture sheets of all people")
    parser.add_argument(
        "--people-per-sheet", metavar="N", type=positive, default=8, help="people on a sheet (default: %(default)s)"
    )
    set_run(parser, "run_trials.evaluate_photos")


def _add_detections(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "detections", "detected keypoints against others", _DETECTIONS, settings=False)
    parser.add_argument("found", metavar="FOUND", type=Path, help="folder of detected keypoints")
    parser.add_argument("--reference", metavar="DIR", type=Path, required=True, help="folder of other keypoints")
    parser.add_argument("--images", metavar="DIR", type=Path, required=True, help="folder of the photos")
    set_run(parser, "run_trials.evaluate_detections", ("reference",))


def _add_priors(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "priors", "the pose priors compared", _PRIORS)
    _add_people(parser, 0)
    add_scenes(parser)
    priors = get_args(BodyPosePriorName)
    parser.add_argument(
        "--priors",
        nargs="+",
        metavar="PRIOR",
        default=priors,
        choices=priors,
        help=f"{', '.join(priors)}; the first is compared with (default: all)",
    )
    add_fit(parser)
    set_run(parser, "run_trials.evaluate_priors", ("balancing", "seated"), _check_priors)


def _add_gender(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "gender", "the value of the right body model", _GENDER)
    _add_people(parser, 48)
    add_fit(parser)
    parser.add_argument("--true-camera", action="store_true", help="give the fit the focal length")
    set_run(parser, "run_trials.evaluate_gender")


def _add_collisions(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "collisions", "the self-collision term", _COLLISIONS)
    parser.add_argument("--poses", metavar="N", type=natural, help="synthetic poses, 0 for none (default: all)")
    parser.add_argument("--seed", metavar="N", type=natural, default=0, help="default: %(default)s")
    _add_photo_folders(parser)
    parser.add_argument("--no-pictures", action="store_true", help="write no pictures")
    add_fit(parser)
    set_run(parser, "run_trials.evaluate_collisions", ("photos",))


def _add_synthetic(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "synthetic", "errors of synthetic people, one by one", _SYNTHETIC)
    _add_people(parser, 32)
    _add_gender_option(parser, "neutral", "of the body model")
    add_fit(parser)
    parser.add_argument("--true-camera", action="store_true", help="give the fit the focal length")
    parser.add_argument("--summary", action="store_true", help="print the summary only")
    set_run(parser, "run_trials.evaluate_synthetic")


def _add_restarts(actions: _Actions[_Parser]) -> None:
    parser = add_action(actions, "restarts", "lowest losses from other starts, effect of rounding", _RESTARTS)
    _add_people(parser, None, "48; with --photos 0")
    _add_photo_folders(parser)
    parser.add_argument(
        "--restarts",
        metavar="N",
        type=natural,
        default=20,
        help="perturbed starts of each person (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        metavar="X",
        type=float,
        default=1.0,
        help="spread of the starts in units of each parameter's typical change (default: %(default)s)",
    )
    add_fit(parser)
    set_run(parser, "run_trials.evaluate_restarts", ("photos",), _check_restarts)


def _add_people(parser: _Parser, count: int | None, default: str = "%(default)s") -> None:
    kind = positive if count else natural
    parser.add_argument(
        "--people", metavar="N", type=kind, default=count, help=f"number of synthetic people (default: {default})"
    )
    parser.add_argument(
        "--seed", metavar="N", type=natural, default=0, help="of all random numbers (default: %(default)s)"
    )
    parser.add_argument("--mocap", metavar="FILE", type=Path, help="body poses (.npz); default: mild random ones")


def _add_photo_folders(parser: _Parser) -> None:
    parser.add_argument(
        "--photos",
        metavar="DIR",
        type=Path,
        action="append",
        default=[],
        help="folder with images/ and keypoints/; several are possible",
    )


def _add_gender_option(parser: _Parser, default: str, what: str) -> None:
    parser.add_argument(
        "--gender", choices=("male", "female", "neutral"), default=default, help=f"{what} (default: %(default)s)"
    )


def _add_folders(parser: _Parser) -> None:
    add_output(parser)
    parser.add_argument("--models", metavar="DIR", help="the only folder to search for body models")
    parser.add_argument(
        "--vertex-sets", metavar="DIR", type=Path, help="folder of the files that name hands and face"
    )


def _add_trials(parser: _Parser, cameras: list[str]) -> None:
    _add_folders(parser)
    parser.add_argument(
        "--config",
        metavar="FILE",
        action="append",
        dest="configs",
        help="settings (YAML) or a shipped configuration by name; several are compared (default: fit_smplx)",
    )
    parser.add_argument(
        "--cameras",
        metavar="CAMERA",
        nargs="+",
        choices=("config", "paper", "true"),
        default=cameras,
        help="camera that is given to the fit: config, as in the configuration; paper, 5000 pixels; true "
        f"(default: {' '.join(cameras)})",
    )
    parser.add_argument("--only", metavar="ROW", nargs="+", help="only these rows of the tables, such as full")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU if there is one"
    )
    parser.add_argument("--threads", metavar="N", type=positive, default=1, help="default: %(default)s")


def _check_scenes(arguments: argparse.Namespace) -> None:
    if not arguments.balancing and not arguments.seated:
        raise UsageError("evaluate views: expected --balancing DIR, --seated DIR, or both")


def _check_priors(arguments: argparse.Namespace) -> None:
    if not (arguments.people or arguments.balancing or arguments.seated):
        raise UsageError("evaluate priors: expected --people N, --balancing DIR or --seated DIR")


def _check_restarts(arguments: argparse.Namespace) -> None:
    if arguments.people is None:
        arguments.people = 0 if arguments.photos else 48
    if arguments.people < (0 if arguments.photos else 1):
        raise UsageError("--people: expected at least 1; with --photos at least 0")
    if not 0 <= arguments.size < float("inf"):
        raise UsageError("--size: expected at least 0")
