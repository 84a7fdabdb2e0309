"""Metrics against known truth: synthetic people and calibrated views."""

from smplifyx.evaluation.calibrated_views import CalibratedCamera, read_camera_parameters, read_qualisys_cameras
from smplifyx.evaluation.metrics import Alignment, fit_similarity, mpjpe, pa_mpjpe, pa_v2v, v2v
from smplifyx.evaluation.scoring import score
from smplifyx.evaluation.synthetic import SyntheticOptions, SyntheticPerson, synthetic_people
from smplifyx.evaluation.synthetic_detector import DetectorNoise
from smplifyx.evaluation.synthetic_files import write_openpose_json
from smplifyx.evaluation.synthetic_poses import PosePool, held_out_poses, mild_poses
from smplifyx.evaluation.triangulation import Triangulation, TriangulationOptions, triangulate
from smplifyx.evaluation.views_report import ViewErrors, views_report

__all__ = [
    "Alignment",
    "CalibratedCamera",
    "DetectorNoise",
    "PosePool",
    "SyntheticOptions",
    "SyntheticPerson",
    "Triangulation",
    "TriangulationOptions",
    "ViewErrors",
    "fit_similarity",
    "held_out_poses",
    "mild_poses",
    "mpjpe",
    "pa_mpjpe",
    "pa_v2v",
    "read_camera_parameters",
    "read_qualisys_cameras",
    "score",
    "synthetic_people",
    "triangulate",
    "v2v",
    "views_report",
    "write_openpose_json",
]
