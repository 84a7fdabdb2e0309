"""2D evidence: readers of keypoint files and photos, the choice of people, and `Observation`."""

from smplifyx.keypoints.draw import draw_keypoints
from smplifyx.keypoints.folder import Pair, Pairing, pair_folder
from smplifyx.keypoints.images import exif_focal_length_px, image_size, read_image
from smplifyx.keypoints.loading import (
    KeypointOptions,
    Loaded,
    Skipped,
    load_pairs,
    merge_loaded,
    read_keypoints,
    split_hands,
    unpaired,
)
from smplifyx.keypoints.observation import Observation, box_diagonal, keypoint_box
from smplifyx.keypoints.people import Part, PersonSelection, select_people
from smplifyx.keypoints.reading import KeypointFile, PersonKeypoints, read_keypoint_file

__all__ = [
    "KeypointFile",
    "KeypointOptions",
    "Loaded",
    "Observation",
    "Pair",
    "Pairing",
    "Part",
    "PersonKeypoints",
    "PersonSelection",
    "Skipped",
    "box_diagonal",
    "draw_keypoints",
    "exif_focal_length_px",
    "image_size",
    "keypoint_box",
    "load_pairs",
    "merge_loaded",
    "pair_folder",
    "read_image",
    "read_keypoint_file",
    "read_keypoints",
    "select_people",
    "split_hands",
    "unpaired",
]
