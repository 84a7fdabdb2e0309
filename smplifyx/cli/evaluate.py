"""``smplifyx evaluate``: benchmarks and ablations."""

from __future__ import annotations

import argparse
from pathlib import Path

from smplifyx.cli.messages import check_input, check_output
from smplifyx.errors import UsageError

_DESCRIPTION = """Fit people whose bodies are known, and tell how far off the fits are: the two tables of the
SMPLify-X paper and the figures that later papers use. Fits already done with the same settings are used again."""

_EHF = """The EHF data as it is distributed: NN_img.jpg or .png, NN_2Djnt.json, NN_align.ply. Needs licensed SMPL-X
files (--models). For hands, face and the 14 joints put MANO_SMPLX_vertex_ids.pkl, SMPL-X__FLAME_vertex_ids.npy and
SMPLX_to_J14.pkl into --vertex-sets; otherwise the parts come from the skinning weights.

examples:
  smplifyx evaluate ehf --data EHF --models MODELS
  smplifyx evaluate ehf --data EHF --models MODELS --config paper"""

_OPEN = """A benchmark for which nothing needs a licence, made from a seed: people with shapes from Anny's full shape
space, in motion-captured poses (--mocap FILE) or mild random ones, hands and faces in motion, seen by many cameras,
with a detector's noise. OUTPUT/benchmark holds it in EHF's layout, so that any program can be run on it, and
`smplifyx evaluate results` compares the result with the truth.

examples:
  smplifyx evaluate open
  smplifyx evaluate open --people 20 --only full --no-noise
  smplifyx evaluate open --mocap cmu_body_pose.npz --config paper"""

_VIEWS = """Photos of one person by several calibrated cameras: every view is fitted alone and compared with the
person triangulated from all views, and the views' fits with each other."""

_RESULTS = """Somebody's results against known bodies. RESULTS holds for each frame NN one mesh (.obj, .ply), one
SMPLify-X pickle or one of our .npz: NN.obj, NN_*.obj, NN/000.obj, results/NN_img/000.pkl and the like. --truth is a
folder in EHF's layout, such as the open benchmark's."""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate", help="benchmarks and ablations", description=_DESCRIPTION, allow_abbrev=False
    )
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True, title="what")
    _add_ehf(actions)
    _add_open(actions)
    _add_views(actions)
    _add_results(actions)


def _action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_line: str, description: str
) -> argparse.ArgumentParser:
    return actions.add_parser(
        name,
        help=help_line,
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="--SECTION.KEY VALUE changes a setting of the fit, as in --priors.body_pose gmm",
        allow_abbrev=False,
    )


def _add_ehf(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "ehf", "Tables 1 and 2 on EHF", _EHF)
    parser.add_argument("--data", metavar="DIR", type=Path, required=True, help="folder of EHF")
    parser.add_argument(
        "--gender",
        choices=("male", "female", "neutral"),
        default="male",
        help="of the person in the photos (default: %(default)s)",
    )
    _add_fitting(parser, ["paper", "true"])
    parser.set_defaults(run=_run_ehf, options=())


def _add_open(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "open", "the same on a benchmark without licences", _OPEN)
    parser.add_argument("--people", metavar="N", type=int, default=100, help="how many (default: %(default)s)")
    parser.add_argument(
        "--seed", metavar="N", type=int, default=0, help="of everything random (default: %(default)s)"
    )
    parser.add_argument("--mocap", metavar="FILE", type=Path, help="body poses (.npz); default: mild random ones")
    parser.add_argument(
        "--shapes",
        choices=("anny", "components"),
        default="anny",
        help="Anny's full shape space, or the body model's own ten components (default: %(default)s)",
    )
    parser.add_argument(
        "--detector",
        choices=("independent", "correlated"),
        default="independent",
        help="errors of each keypoint by itself, or errors as measured on OpenPose's output: limbs err and vanish "
        "as a whole, joints have offsets (default: %(default)s)",
    )
    parser.add_argument("--only-make", action="store_true", help="write the benchmark and fit nobody")
    parser.add_argument("--no-noise", action="store_true", help="leave out the fits at several noise levels")
    _add_fitting(parser, ["config", "true"])
    parser.set_defaults(run=_run_open, options=())


def _add_views(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "views", "single views against all calibrated views", _VIEWS)
    parser.add_argument("--balancing", metavar="DIR", type=Path, help="Pose2Sim's balancing trial")
    parser.add_argument("--seated", metavar="DIR", type=Path, help="MvSMPLfitting's seated man")
    parser.add_argument("--gender", choices=("male", "female", "neutral"), default="neutral", help="of the person")
    _add_fitting(parser, ["config"])
    parser.set_defaults(run=_run_views, options=())


def _add_results(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = _action(actions, "results", "somebody's results against the truth", _RESULTS)
    parser.add_argument("results", metavar="RESULTS", type=Path, help="folder of meshes or parameters")
    parser.add_argument("--truth", metavar="DIR", type=Path, required=True, help="folder in EHF's layout")
    parser.add_argument(
        "--gender",
        choices=("male", "female", "neutral"),
        default="neutral",
        help="body model of pickles where nothing tells it (default: %(default)s)",
    )
    parser.add_argument("--vposer", metavar="FILE", help="VPoser whose codes pickles hold (default: the shipped one)")
    parser.add_argument(
        "--mesh-axes",
        choices=("smplifyx", "camera"),
        default="smplifyx",
        help="meshes are turned by 180 degrees about x, as SMPLify-X writes them, or in the camera's axes",
    )
    _add_places(parser)
    parser.set_defaults(run=_run_results, options=())


def _add_places(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", metavar="DIR", type=Path, default=Path("evaluation"), help="default: %(default)s")
    parser.add_argument("--models", metavar="DIR", help="the only folder to search for body models")
    parser.add_argument(
        "--vertex-sets", metavar="DIR", type=Path, help="folder of the files that name hands and face"
    )


def _add_fitting(parser: argparse.ArgumentParser, cameras: list[str]) -> None:
    _add_places(parser)
    parser.add_argument(
        "--config",
        metavar="FILE",
        action="append",
        dest="configs",
        help="settings (YAML) or a shipped configuration by name; several are compared (default: fit_smplx)",
    )
    parser.add_argument(
        "--cameras",
        nargs="+",
        metavar="CAMERA",
        choices=("config", "paper", "true"),
        default=cameras,
        help="what the fit knows of the camera: config, what the configuration says; paper, 5000 pixels; true "
        f"(default: {' '.join(cameras)})",
    )
    parser.add_argument("--only", metavar="ROW", nargs="+", help="only these rows of the tables, such as full")
    parser.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: a GPU if there is one"
    )
    parser.add_argument("--threads", metavar="N", type=int, default=1, help="default: %(default)s")


def _run_ehf(arguments: argparse.Namespace) -> int:
    from smplifyx.cli.run_evaluation import evaluate_ehf

    check_output(arguments.output)
    return evaluate_ehf(arguments)


def _run_open(arguments: argparse.Namespace) -> int:
    from smplifyx.cli.run_evaluation import evaluate_open

    if arguments.people < 1:
        raise UsageError("--people: expected at least 1")
    check_output(arguments.output)
    return evaluate_open(arguments)


def _run_views(arguments: argparse.Namespace) -> int:
    from smplifyx.cli.run_evaluation import evaluate_views

    if not arguments.balancing and not arguments.seated:
        raise UsageError("evaluate views: expected --balancing DIR, --seated DIR, or both")
    check_input(arguments.balancing, "--balancing")
    check_input(arguments.seated, "--seated")
    check_output(arguments.output)
    return evaluate_views(arguments)


def _run_results(arguments: argparse.Namespace) -> int:
    from smplifyx.cli.run_evaluation import evaluate_results

    check_output(arguments.output)
    return evaluate_results(arguments)
