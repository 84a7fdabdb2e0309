"""Tracks of people over frames and views, against known people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from smplifyx.keypoints import Observation
from smplifyx.tracking import Track, TrackingOptions, find_tracks, summary_of
from smplifyx.tracking.matching import triangulated
from smplifyx.tracking.people import size_of
from tests.tracking.walkers import FIGURE, cameras, part, seen

VIEW = cameras(1)[0]


def at(x: float, y: float = 0.0) -> NDArray[np.float64]:
    return FIGURE + np.array([x, y, 0.0])


def places(track: Track) -> list[float | None]:
    """Pixel column of the neck in each frame of a single view."""
    return [None if row[0] is None else float(row[0].keypoints[1, 0]) for row in track.observations]


def column(x: float, y: float = 0.0) -> float:
    return float(seen(at(x, y), VIEW).keypoints[1, 0])


def test_people_who_pass_each_other_keep_their_numbers() -> None:
    n_frames = 24
    ways = [np.linspace(-2, 2, n_frames), np.linspace(2, -2, n_frames)]
    rng = np.random.default_rng(0)
    frames = []
    for k in range(n_frames):
        people = [seen(at(ways[0][k], -0.8), VIEW), seen(at(ways[1][k], 0.8), VIEW)]
        frames.append([[people[number] for number in rng.permutation(2)]])
    tracks, report = find_tracks(frames)
    assert [len(track) for track in tracks] == [n_frames, n_frames]
    for track, way, depth in zip(tracks, ways, (-0.8, 0.8), strict=True):  # the nearer one is larger and so the first
        assert places(track) == pytest.approx([column(x, depth) for x in way])
    assert [(one.track, one.frames, one.gaps, one.keypoints) for one in report] == [
        (0, 24, 0, 25.0),
        (1, 24, 0, 25.0),
    ]


def test_a_gap_is_bridged_and_a_longer_one_is_another_person() -> None:
    frames: list[list[list[Observation]]] = [[[seen(at(0.02 * k), VIEW)]] for k in range(30)]
    for k in range(10, 16):
        frames[k] = [[]]
    (track,), (line,) = find_tracks(frames)
    assert [place is None for place in places(track)] == [10 <= k < 16 for k in range(30)]
    assert (line.frames, line.gaps, line.longest_gap) == (24, 1, 6)
    tracks, _ = find_tracks(frames, options=TrackingOptions(max_gap=5))
    assert [(track.frames[0], len(track)) for track in tracks] == [(0, 10), (16, 14)]


def test_people_move_further_between_frames_that_are_far_apart() -> None:
    frames = [[[seen(at(1.5 * (k % 2)), VIEW)]] for k in range(6)]  # to and fro, a metre and a half
    assert len(find_tracks(frames, fps=30.0, options=TrackingOptions(min_frames=1))[0]) == 2
    assert len(find_tracks(frames, fps=1.0)[0]) == 1


def test_the_report_of_a_part_of_a_track_counts_that_part() -> None:
    frames: list[list[list[Observation]]] = [[[seen(at(0.02 * k), VIEW)] if k % 5 else []] for k in range(21)]
    (track,), (line,) = find_tracks(frames)
    assert (line.first, line.last, line.frames, line.gaps) == (1, 19, 16, 3) and summary_of(track) == line
    part = summary_of(replace(track, frames=track.frames[:10], observations=track.observations[:10]))
    assert (part.first, part.last, part.frames, part.gaps, part.views) == (1, 10, 8, 1, "0:8")


def test_short_ghosts_are_dropped_with_the_reason() -> None:
    frames = [[[seen(at(0.0), VIEW), *([seen(at(2.0), VIEW)] if 5 <= k < 8 else [])]] for k in range(20)]
    tracks, report = find_tracks(frames)
    assert len(tracks) == 1
    assert [(one.track, one.dropped) for one in report] == [(0, ""), (-1, "seen in 3 of 20 frames; needs 5")]
    tracks, _ = find_tracks(frames, options=TrackingOptions(min_frames=3))
    assert len(tracks) == 2


def test_who_is_seen_now_and_then_among_others_is_a_ghost() -> None:
    everyone = [[[seen(at(0.0), VIEW), *([seen(at(2.0), VIEW)] if k % 8 == 0 else [])]] for k in range(60)]
    _, report = find_tracks(everyone)
    dropped = [one.dropped for one in report if one.track < 0]
    assert dropped == ["seen in 8 of 57 frames between its first and last; needs 20%"]
    sparse = [[row[0][1:]] for row in everyone]  # keypoints of every eighth frame alone
    tracks, _ = find_tracks(sparse)
    assert len(tracks) == 1 and len(tracks[0]) == 57


def test_the_largest_are_kept_of_too_many() -> None:
    frames = [[[seen(at(-1.0, 1.0), VIEW), seen(at(1.0), VIEW)]] for _ in range(6)]
    frames[3][0].pop(0)
    (track,), report = find_tracks(frames, options=TrackingOptions(max_people=1))
    assert places(track) == pytest.approx([column(1.0)] * 6)
    assert sorted(one.dropped for one in report) == ["", "only 1 with the most keypoints are fitted"]


def test_pieces_go_to_the_person_whose_points_they_continue() -> None:
    arm, rest = [2, 3, 4], [k for k in range(25) if k not in (2, 3, 4)]
    frames = [[[seen(at(0.01 * k), VIEW), seen(at(1.5, 0.5), VIEW)]] for k in range(8)]
    whole = seen(at(0.04), VIEW)
    wrong_side = part(seen(at(0.04), VIEW), arm)
    wrong_side.keypoints[arm] = whole.keypoints[[5, 6, 7]]  # the other arm, named as this one
    frames[4] = [[part(whole, rest), seen(at(1.5, 0.5), VIEW), wrong_side, part(whole, arm)]]
    tracks, _ = find_tracks(frames)
    assert len(tracks) == 2
    found = tracks[0].observations[4][0]
    assert found is not None
    np.testing.assert_array_equal(found.keypoints, whole.keypoints)


@pytest.mark.parametrize("n_frames", [1, 5])
def test_people_are_matched_across_views(n_frames: int) -> None:
    views = cameras(4)
    people = [at(-0.7, 0.4), at(0.8, -0.5), at(0.1, 1.2)]
    rng = np.random.default_rng(1)
    orders = [[*rng.permutation(3)] for _ in views]
    frames = [
        [
            [
                seen(people[number] + np.array([0.02 * k, 0, 0]), view, index=int(number), noise=3.0)
                for number in orders[v]
            ]
            for v, view in enumerate(views)
        ]
        for k in range(n_frames)
    ]
    frames[0][2].pop()  # a camera misses somebody
    tracks, report = find_tracks(frames, views)
    assert len(tracks) == 3 and not any(one.dropped for one in report)
    for track in tracks:
        numbers = {one.person_index for row in track.observations for one in row if one is not None}
        assert len(numbers) == 1 and len(track) == n_frames
    n_seen = sum(one is not None for track in tracks for row in track.observations for one in row)
    assert n_seen == 12 * n_frames - 1


def test_a_person_of_one_view_is_dropped_or_kept() -> None:
    views = cameras(3)
    frames = [[[seen(at(0.3), view)] for view in views]]
    frames[0][1].append(seen(at(-1.0), views[1], index=1))
    tracks, report = find_tracks(frames, views)
    assert len(tracks) == 1 and sorted(one.dropped for one in report) == ["", "seen by 1 of 3 cameras; needs 2"]
    tracks, report = find_tracks(frames, views, options=TrackingOptions(min_views=1))
    assert len(tracks) == 2 and [one.views for one in report if one.track >= 0].count("cam2:1") == 1


def test_no_people_no_tracks() -> None:
    assert find_tracks([[[]], [[]]]) == ([], [])


def test_points_are_triangulated_where_two_views_see_them() -> None:
    views = cameras(3)
    pixels = np.stack([view.camera.project(view.to_camera(FIGURE)) for view in views if view.camera is not None])
    used = np.ones((3, 25), bool)
    used[1:, 4] = False
    found = triangulated(views, pixels, used)
    assert np.isnan(found[4]).all()
    rest = np.arange(25) != 4
    np.testing.assert_allclose(found[rest], FIGURE[rest], atol=1e-8)


def test_work_grows_with_the_frames_not_with_their_square(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a piece of a person in every other frame."""
    calls = []

    def counted(one: Observation) -> float:
        calls.append(one)
        return size_of(one)

    monkeypatch.setattr("smplifyx.tracking.people.size_of", counted)
    arm, rest = [2, 3, 4], [k for k in range(25) if k not in (2, 3, 4)]
    whole = seen(at(0.0), VIEW)
    n_calls = []
    for n_frames in (20, 40):
        calls.clear()
        frames = [[[part(whole, rest), part(whole, arm)] if k % 2 else [whole]] for k in range(n_frames)]
        (track,), _ = find_tracks(frames)
        assert all(row[0] is not None and (row[0].keypoints[:25, 2] > 0).all() for row in track.observations)
        n_calls.append(len(calls))
    assert n_calls[1] <= 2.1 * n_calls[0]
