"""The sampler: a function of seed and step that draws all frames and cameras equally often."""

from collections import Counter

import pytest

from headfit.capture.sampler import ViewSampler


@pytest.mark.parametrize(("frames_per_step", "views_per_frame"), [(4, 3), (5, 2), (1, 1), (12, 7), (99, 99)])
def test_a_step_has_distinct_frames_each_with_distinct_cameras(frames_per_step: int, views_per_frame: int) -> None:
    sampler = ViewSampler(12, [0, 1, 3, 4, 5, 6, 7], seed=3)
    for step in range(40):
        views = sampler.sample_views(step, frames_per_step, views_per_frame)
        assert len(set(views)) == len(views)
        per_frame = Counter(frame for frame, _ in views)
        assert len(per_frame) == min(frames_per_step, 12)
        assert set(per_frame.values()) == {min(views_per_frame, 7)}
        assert {camera for _, camera in views} <= {0, 1, 3, 4, 5, 6, 7}


def test_all_frames_come_before_any_comes_again() -> None:
    sampler = ViewSampler(12, [0, 1], seed=0)
    for first in range(0, 30, 3):
        drawn = [frame for step in range(first, first + 3) for frame, _ in sampler.sample_views(step, 4, 1)]
        assert sorted(drawn) == list(range(12))


def test_the_last_step_of_a_round_is_filled_up_when_numbers_do_not_divide() -> None:
    sampler = ViewSampler(10, [0, 1], seed=0)
    for first in range(0, 30, 3):
        drawn = Counter(frame for step in range(first, first + 3) for frame, _ in sampler.sample_views(step, 4, 1))
        assert set(drawn) == set(range(10))
        assert sorted(drawn.values()) == [1] * 8 + [2] * 2


def test_a_fillers_cameras_are_not_those_of_its_regular_visit() -> None:
    sampler = ViewSampler(3, list(range(8)), seed=0)
    same = 0
    for first in range(0, 40, 2):  # rounds of two steps, of which the second is filled up with the first frame
        (filled, camera), *_ = sampler.sample_views(first, 2, 1)
        same += (filled, camera) in sampler.sample_views(first + 1, 2, 1)
    assert same < 10


def test_a_frame_goes_through_all_cameras_before_any_comes_again() -> None:
    sampler = ViewSampler(6, [0, 2, 3, 5], seed=1)
    seen: dict[int, list[int]] = {frame: [] for frame in range(6)}
    for step in range(12):  # two rounds of cameras: each frame is drawn every third step, two cameras at a time
        for frame, camera in sampler.sample_views(step, 2, 2):
            seen[frame].append(camera)
    for cameras in seen.values():
        assert sorted(cameras[:4]) == sorted(cameras[4:]) == [0, 2, 3, 5]


def test_the_order_differs_between_rounds_frames_and_seeds() -> None:
    def order(seed: int, first: int) -> list[tuple[int, int]]:
        sampler = ViewSampler(12, list(range(8)), seed)
        return [view for step in range(first, first + 12) for view in sampler.sample_views(step, 1, 1)]

    assert order(0, 0) != order(1, 0)
    assert [frame for frame, _ in order(0, 0)] != [frame for frame, _ in order(0, 12)]
    assert len({camera for _, camera in order(0, 0)}) > 1


def test_a_step_depends_on_seed_and_step_only() -> None:
    whole = ViewSampler(7, [0, 1, 2, 4], seed=5)
    unbroken = [whole.sample_views(step, 3, 2) for step in range(50)]
    resumed = ViewSampler(7, [0, 1, 2, 4], seed=5)
    assert [resumed.sample_views(step, 3, 2) for step in range(23, 50)] == unbroken[23:]


def test_frames_can_be_drawn_from_some_of_them() -> None:
    sampler = ViewSampler(12, [0, 1], seed=0)
    drawn = [frame for step in range(2) for frame, _ in sampler.sample_views(step, 2, 1, frames=[3, 5, 8, 9])]
    assert sorted(drawn) == [3, 5, 8, 9]
