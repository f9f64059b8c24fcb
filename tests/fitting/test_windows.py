"""A shard computes for its frames exactly what a process that fits the whole take computes."""

from collections.abc import Hashable
from dataclasses import replace
from itertools import pairwise

import pytest

from headfit.errors import HeadfitError
from headfit.fitting.config import FitConfig, Stage
from headfit.fitting.schedule import Plan
from headfit.fitting.validation import validate_config
from headfit.fitting.windows import Shard, windows_of

STAGES = {
    "photo": Stage(frames="key", steps=7, frames_per_step=2),
    "express": Stage(frames="apart", steps=3, frames_per_step=5),
    "track": Stage(frames="apart", steps=25, frames_per_step=8),
    "seams": Stage(frames="seams", steps=2, frames_per_step=8),
}


def plan(frames: int, part: Shard | str | None = None, track: int = 8) -> Plan:
    stages = {**STAGES, "track": replace(STAGES["track"], frames_per_step=track)}
    return Plan(stages, chunk_steps=10, frame_count=frames, key_frames=3, part=part)


def outcome(plan: Plan, frames: int) -> dict[int, Hashable]:
    """Of each frame a fingerprint of all that its numbers depend on, after the chunks of a plan."""
    value: dict[int, Hashable] = {
        frame: ("key", frame) if frame in plan.key else "untouched" for frame in range(frames)
    }
    for chunk in plan.chunks:
        if chunk.known is None:
            continue  # the person
        seen = {*chunk.known, *chunk.frames}
        around = sorted({g for f in chunk.frames for g in (f - 1, f, f + 1) if g in seen})
        nearest = [min(chunk.known, key=lambda k, f=f: abs(k - f)) for f in chunk.new]
        steps = (chunk.stage, chunk.draw, chunk.steps, chunk.first - chunk.window_first, chunk.window_steps)
        depends = hash((*steps, *((f, value[f]) for f in around), *((k, value[k]) for k in nearest)))
        value |= {frame: hash((depends, frame)) for frame in chunk.frames}
    return value


@pytest.mark.parametrize("frames", [9, 40, 101])
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("track", [8, 1])
def test_the_numbers_of_a_frame_do_not_depend_on_the_number_of_shards(frames, count, track):
    whole = outcome(plan(frames, track=track), frames)
    owned = []
    for index in range(count):
        shard = plan(frames, Shard(index, count), track)
        found = outcome(shard, frames)
        assert {f: found[f] for f in shard.owned} == {f: whole[f] for f in shard.owned}
        owned += shard.owned
    assert owned == [frame for frame in range(frames) if frame not in plan(frames).key]
    assert "untouched" not in whole.values()


def test_shards_overlap_by_a_few_windows_only():
    alone = sum(chunk.steps for chunk in plan(401).chunks if chunk.known is not None)
    shared = sum(plan(401, Shard(index, 5)).steps for index in range(5))
    assert alone < shared <= alone + 5 * 4 * 28


def test_the_person_and_the_shards_are_the_whole_plan():
    person = plan(40, "person")
    assert {chunk.stage for chunk in person.chunks} == {"photo"} and person.owned == []
    assert person.chunks == plan(40).chunks[: len(person.chunks)]


def test_seams_stand_apart():
    rest = list(range(1, 100))
    seams = windows_of(Stage(frames="seams", frames_per_step=12), rest)
    assert seams[0] == [9, 10, 11, 12, 13, 14]
    assert all(second[0] - first[-1] > 2 for first, second in pairwise(seams))
    assert windows_of(Stage(frames="seams", frames_per_step=3), rest) == []


def test_stages_that_cannot_be_shared_are_refused():
    moving = Stage(frames="apart", rates={"identity": 0.1}, weights={"mask": 1.0})
    with pytest.raises(HeadfitError, match=r"stage a: .*rates\.identity must be 0"):
        validate_config(FitConfig(stages={"a": moving}), "x.yaml")
    apart, after = (Stage(frames=f, rates={"expression": 0.1}, weights={"mask": 1.0}) for f in ("apart", "all"))
    with pytest.raises(HeadfitError, match="stage b: must come before stage a"):
        validate_config(FitConfig(stages={"a": apart, "b": after}), "x.yaml")
