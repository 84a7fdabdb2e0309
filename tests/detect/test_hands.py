import numpy as np

import smplifyx.detect.hands as hands
from smplifyx.detect.body import BodyPoints
from smplifyx.detect.crops import Crop, Photo
from smplifyx.detect.hands import HandNetwork, _arm_crops

_ELBOW, _WRIST, _MIDDLE = np.array([100.0, 100.0]), np.array([160.0, 100.0]), np.array([175.0, 100.0])


def test_crops_from_the_arm_lie_beyond_the_wrist_and_point_along_it():
    for crop in _arm_crops(_ELBOW, _WRIST, _MIDDLE, 300.0):
        assert crop.center[0] > _WRIST[0] and abs(crop.center[1] - 100.0) < 1e-6
        # A hand of 0.9 forearms that starts at the wrist lies inside.
        assert abs(_WRIST[0] + 0.9 * 60.0 - crop.center[0]) < crop.side / 2
        np.testing.assert_allclose(crop.angle, np.pi / 2)


class _Landmarks:
    """Places a hand of 40 pixels whose wrist is at a point of the photo."""

    side = 224

    def __init__(self, crops, wrist, size=40.0):
        self.crops, self.wrist, self.size = crops, np.asarray(wrist, float), size

    def __call__(self, image):
        crop = self.crops[-1]
        points = self.wrist + np.linspace(0.0, self.size, 21)[:, None] * np.array([1.0, 0.2])
        matrix = crop._matrix(self.side)
        local = np.zeros((21, 3))
        local[:, :2] = (points - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
        return {"Identity": local.reshape(1, 63)[0], "Identity_1": np.array([0.9])}


def found(monkeypatch, wrist, size=40.0):
    """The left hand of an arm, where no palm is found and the landmarks lie at a given wrist."""
    crops = []
    cut = Crop.cut

    def noted(crop, photo, n):
        crops.append(crop)
        return cut(crop, photo, n)

    monkeypatch.setattr(Crop, "cut", noted)
    network = HandNetwork.__new__(HandNetwork)
    network._palms = lambda photo, crop: []
    network._guess = lambda photo, wrist, middle: None
    network._landmarks = _Landmarks(crops, wrist, size)
    points = np.zeros((33, 2))
    for number, point in zip(hands._ARMS["left"], (_WRIST, _MIDDLE, _MIDDLE, _ELBOW), strict=True):
        points[number] = point
    body = BodyPoints(1.0, points, np.where(points.any(1), 0.9, 0.0), np.zeros((33, 3)), Crop((100.0, 100.0), 300.0))
    return network(Photo(np.zeros((200, 300, 3), np.uint8)), body)


def test_a_hand_without_a_palm_is_found_from_the_arm(monkeypatch):
    assert set(found(monkeypatch, _WRIST + 3.0)) == {"left"}


def test_a_hand_far_from_the_wrist_or_of_a_few_pixels_is_none(monkeypatch):
    assert found(monkeypatch, _WRIST + np.array([0.0, 60.0])) == {}
    assert found(monkeypatch, _WRIST, size=10.0) == {}
