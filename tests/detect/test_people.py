import numpy as np

from smplifyx.detect.anchors import _anchors, _groups
from smplifyx.detect.body import COCO_POINTS, BodyPoints
from smplifyx.detect.crops import Crop
from smplifyx.detect.movenet import Seen
from smplifyx.detect.people import combine, crop_of, inside, join, same_body

_FIGURE = np.array(
    [(0, -80), (-4, -84), (4, -84), (-8, -82), (8, -82), (20, -55), (-20, -55), (26, -25), (-26, -25), (28, 0),
     (-28, 0), (12, 0), (-12, 0), (13, 45), (-13, 45), (14, 90), (-14, 90)], float,
)  # fmt: skip


def seen_at(x, y, scale=1.0, score=0.8, confidence=0.9):
    return Seen(score, _FIGURE * scale + [x, y], np.full(17, confidence))


def body_at(x, y, scale=1.0, score=0.9, shift=0.0):
    points = np.zeros((33, 2))
    points[COCO_POINTS] = _FIGURE * scale + [x + shift, y]
    return BodyPoints(score, points, np.full(33, 0.8), np.zeros((33, 3)), Crop((x, y), 200 * scale))


def test_a_person_whom_both_networks_see_is_one_person_between_their_points():
    (person,) = join([body_at(100, 100, shift=4.0)], [seen_at(100, 100)])
    assert person.body is not None
    assert np.all((person.coco[:, 0] > _FIGURE[:, 0] + 100) & (person.coco[:, 0] < _FIGURE[:, 0] + 104))


def test_a_disputed_point_is_the_surer_one_with_less_confidence():
    seen = seen_at(100, 100)
    body = body_at(100, 100)
    body.points[COCO_POINTS[9]] += 60.0
    point = combine(body, seen)[9]
    np.testing.assert_allclose(point[:2], seen.points[9])
    assert point[2] == 0.45


def test_a_body_that_contradicts_what_was_seen_gives_way():
    """Two players merged into one body lie between the two that MoveNet sees."""
    people = join([body_at(140, 100, scale=1.1)], [seen_at(100, 100), seen_at(180, 100)])
    assert [person.body for person in people] == [None, None]


def test_a_body_drawn_from_somebody_and_the_background_is_nobody():
    lying = body_at(100, 100)  # head and shoulders on the person, the rest beside
    lying.points[COCO_POINTS] = np.column_stack([100 - 0.9 * (_FIGURE[:, 1] + 80), 100 + _FIGURE[:, 0]])
    (person,) = join([lying], [seen_at(100, 100)])
    assert person.body is None
    assert len(join([lying], [])) == 1
    child = body_at(100, 165, scale=0.3)  # in front
    assert len(join([child], [seen_at(100, 100)])) == 2
    beside = body_at(180, 100)
    assert len(join([beside], [seen_at(100, 100)])) == 2


def test_a_person_found_twice_is_one_person():
    assert len(join([body_at(100, 100), body_at(101, 100)], [seen_at(100, 100)])) == 1
    assert len(join([], [seen_at(100, 100), seen_at(103, 101, score=0.5)])) == 1
    assert len(join([], [seen_at(100, 100), seen_at(160, 101)])) == 2


def test_somebody_who_is_hardly_seen_is_left_out():
    assert join([], [seen_at(100, 100, score=0.2)]) == []
    assert join([], [seen_at(100, 100, confidence=0.2)]) == []


def test_points_that_nobody_saw_make_no_double():
    unseen = np.column_stack([_FIGURE, np.zeros(17)])
    assert not same_body(unseen, unseen)


def test_people_cut_by_an_inner_border_of_a_tile_are_left_to_the_next_tile():
    tile, size = Crop((150.0, 150.0), 300.0), (1000, 300)
    assert inside(seen_at(100, 150), tile, size)
    assert not inside(seen_at(285, 150), tile, size)
    assert inside(seen_at(20, 150), tile, size)  # the photo's own border


def test_a_crop_holds_the_person():
    crop = crop_of(seen_at(100, 100))
    assert crop is not None
    assert np.all(np.abs(_FIGURE + 100 - crop.center) < crop.side / 2)
    assert crop_of(seen_at(100, 100, confidence=0.1)) is None


def test_anchors_lie_in_the_middle_of_their_cells():
    anchors = _anchors(64, [8, 16, 16])
    assert len(anchors) == 2 * 8 * 8 + 4 * 4 * 4
    np.testing.assert_allclose(anchors[0], 0.5 / 8)
    np.testing.assert_allclose(anchors[-1], 1 - 0.5 / 4)


def test_boxes_are_grouped_as_by_brute_force():
    rng = np.random.default_rng(3)
    scores, centers, sizes = rng.random(60), rng.random((60, 2)), 0.05 + 0.2 * rng.random((60, 2))

    def overlap(i, j):
        low = np.maximum(centers[i] - sizes[i] / 2, centers[j] - sizes[j] / 2)
        high = np.minimum(centers[i] + sizes[i] / 2, centers[j] + sizes[j] / 2)
        meet = np.prod(np.clip(high - low, 0, None))
        return meet / (sizes[i].prod() + sizes[j].prod() - meet)

    left, expected = sorted(range(60), key=lambda i: -scores[i]), []
    while left:
        group = [j for j in left if j == left[0] or overlap(left[0], j) > 0.3]
        expected.append(group)
        left = [j for j in left if j not in group]
    assert [group.tolist() for group in _groups(scores, centers, sizes)] == expected
