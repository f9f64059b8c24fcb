from collections import Counter

import pytest

from headfit.capture.sampler import ViewSampler
from headfit.fitting.config import Stage
from headfit.fitting.schedule import Plan
from headfit.fitting.windows import Shard


def plan() -> Plan:
    stages = {"a": Stage(steps=25, rates={"scale": 0.1}), "b": Stage(steps=10)}
    return Plan(stages, chunk_steps=10, frame_count=3, key_frames=24)


def long_plan(frames: int) -> Plan:
    """A person from four key frames, then the others in windows of three, then all of them."""
    stages = {
        "person": Stage(frames="key", steps=8, frames_per_step=2),
        "windows": Stage(frames="windows", steps=5, frames_per_step=3),
        "each": Stage(frames="each", steps=6, frames_per_step=4),
    }
    return Plan(stages, chunk_steps=20, frame_count=frames, key_frames=4)


def test_chunks_cover_every_step_once_and_never_cross_a_stage():
    chunks = plan().chunks
    assert [(c.stage, c.first, c.steps) for c in chunks] == [
        ("a", 0, 10),
        ("a", 10, 10),
        ("a", 20, 5),
        ("b", 25, 10),
    ]
    assert [c.starts_stage for c in chunks] == [True, False, False, True]
    assert [c.ends_stage for c in chunks] == [False, False, True, True]
    assert all(list(c.frames) == [0, 1, 2] for c in chunks)


def test_rates_hold_then_fall_to_their_share():
    p = plan()
    falls = [p.chunks[step // 10].decay_factor(step, p.stages["a"]) for step in range(25)]
    assert falls[0] == 1.0
    assert falls[24] == pytest.approx(0.2)
    assert falls == sorted(falls, reverse=True)


def test_a_short_capture_is_all_key_frames_and_ends_with_the_person():
    p = long_plan(4)
    assert [c.stage for c in p.chunks] == ["person"]
    assert list(p.chunks[0].frames) == [0, 1, 2, 3]
    assert p.steps == 8


def test_other_frames_of_a_long_capture_come_in_windows_and_then_all_together():
    p = long_plan(11)
    assert [(c.stage, c.first, c.steps) for c in p.chunks] == [
        ("person", 0, 8),
        ("windows", 8, 5),
        ("windows", 13, 5),
        ("windows", 18, 5),
        ("each", 23, 17),
    ]
    assert p.key == [0, 3, 7, 10]
    assert [list(c.frames) for c in p.chunks if c.stage == "windows"] == [[1, 2, 4], [5, 6], [8, 9]]
    assert list(p.chunks[-1].frames) == list(range(11))  # 17 steps of 4 frames: 6 of each
    assert [c.starts_stage for c in p.chunks] == [True, True, False, False, True]
    assert [c.ends_stage for c in p.chunks] == [True, False, False, True, True]


def test_rates_fall_within_every_window():
    p = long_plan(11)
    stage, windows = p.stages["windows"], [c for c in p.chunks if c.stage == "windows"]
    for window in windows:
        assert window.decay_factor(window.first, stage) == 1.0
        assert window.decay_factor(window.first + window.steps - 1, stage) == pytest.approx(stage.decay)


def test_without_key_frames_windows_hold_everything():
    stages = {"windows": Stage(frames="windows", steps=5, frames_per_step=4), "each": Stage(frames="each", steps=6)}
    p = Plan(stages, chunk_steps=20, frame_count=6, key_frames=24)
    assert [list(c.frames) for c in p.chunks] == [[0, 1, 2], [3, 4, 5], [0, 1, 2, 3, 4, 5]]
    assert p.chunks[-1].steps == 6  # a step draws all six, as many as there are


def test_rates_rise_over_the_warm_up():
    plan = Plan({"a": Stage(steps=100, warm_up=0.1, decay=1.0)}, 100, 2, 2)
    rates = [plan.chunks[0].decay_factor(step, plan.stages["a"]) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == 1.0 and all(rate == 1.0 for rate in rates[10:])
    assert rates[:10] == sorted(rates[:10])


def test_a_repeated_stage_comes_after_itself_with_half_the_rates_and_moves_what_follows():
    p = plan()
    p.repeat("a")
    assert [(c.stage, c.first, c.steps, c.repeat) for c in p.chunks] == [
        *[("a", 0, 10, 0), ("a", 10, 10, 0), ("a", 20, 5, 0)],
        *[("a", 25, 10, 1), ("a", 35, 10, 1), ("a", 45, 5, 1)],
        ("b", 50, 10, 0),
    ]
    assert [c.starts_stage for c in p.chunks] == [True, False, False, True, False, False, True]
    assert [c.ends_stage for c in p.chunks] == [False, False, False, False, False, True, True]
    first, again = p.chunks[0], p.chunks[3]
    stage = p.stages["a"]
    assert [again.decay_factor(25 + k, stage) for k in range(10)] == [first.decay_factor(k, stage) for k in range(10)]
    assert (first.repeat_factor, again.repeat_factor) == (1, 0.5)
    assert p.steps == 60
    p.repeat("a")
    assert [c.repeat for c in p.chunks] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 0] and p.steps == 85


def test_all_windows_of_a_stage_are_repeated_in_their_order():
    p = long_plan(11)
    p.repeat("windows")
    assert [(c.first, list(c.frames)) for c in p.chunks if c.repeat] == [(23, [1, 2, 4]), (28, [5, 6]), (33, [8, 9])]
    assert [(c.stage, c.first, c.window_first) for c in p.chunks[-1:]] == [("each", 38, 38)]


def test_a_stage_that_is_left_out_moves_what_follows():
    p = long_plan(11)
    windows = sum(chunk.steps for chunk in p.chunks if chunk.stage == "windows")
    steps, person = p.steps, [chunk for chunk in p.chunks if chunk.stage == "person"]
    each = [(c.first, c.window_first, c.steps) for c in p.chunks if c.stage == "each"]
    p.leave_out("windows")
    p.leave_out("windows")
    assert p.steps == steps - windows > 0
    assert p.chunks[: len(person)] == person
    assert [(c.stage, c.first + windows, c.window_first + windows, c.steps) for c in p.chunks[len(person) :]] == [
        ("each", *chunk) for chunk in each
    ]


@pytest.mark.parametrize("frames", [12, 6, 3])
def test_second_order_steps_visit_each_key_frame_as_often_as_they_say(frames):
    """Whatever came before: the frames of a stage are drawn anew. Steps that are filled up visit some more often."""
    stages = {
        "before": Stage(frames="key", steps=5),
        "settle": Stage(frames="key", solver="gauss_newton", steps=2, frames_per_step=4, views_per_frame=3),
    }
    p = Plan(stages, chunk_steps=4, frame_count=frames, key_frames=24)
    chunks = [c for c in p.chunks if c.stage == "settle"]
    assert sum(c.steps for c in chunks) == {12: 6, 6: 4, 3: 2}[frames]
    sampler = ViewSampler(frames, range(5), seed=0)
    drawn = Counter()
    for chunk in (p.data_chunk(c, []) for c in chunks):
        for step in range(chunk.first_step, chunk.first_step + chunk.steps):
            drawn.update(frame for frame, _ in sampler.sample_views(step, chunk.frames_per_step, 3, chunk.frames))
    assert set(drawn) == set(range(frames)) and min(drawn.values()) == 6  # twice, by three cameras
    assert max(drawn.values()) == 6 or frames == 6


def test_steps_of_independent_windows_draw_the_same_in_every_process():
    stages = {
        "person": Stage(frames="key", steps=3),
        "express": Stage(frames="apart", solver="gauss_newton", steps=3, frames_per_step=2),
    }
    draws = []
    for part in (None, Shard(1, 2)):
        p = Plan(stages, chunk_steps=2, frame_count=12, key_frames=2, part=part)
        own = [c for c in p.chunks if c.stage == "express" and list(c.frames) == [9, 10]]
        draws.append([c.draw_number(c.first + step) for c in own for step in range(c.steps)])
    assert draws[0] == draws[1] == [0, 1, 2]
