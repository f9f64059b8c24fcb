"""A stage that harms the face is done again from its start, and so it is after a kill; a healthy one is not."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch

from headfit.evaluate.health import report_health
from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.guard import MAX_REPEATS
from headfit.fitting.run import fit
from headfit.fitting.run_folder import HARMFUL, load_run
from headfit.fitting.schedule import PlannedChunk

pytestmark = pytest.mark.slow
#: Steps of the tiny settings' two stages.
FIRST, SECOND = 4, 6


@pytest.fixture
def absurd(monkeypatch):
    """A function that makes the rates of the second stage absurd in its first attempts, so many of them."""
    sane = PlannedChunk.decay_factor

    def inject(attempts: int) -> None:
        def factor(chunk, step, stage):
            bad = chunk.stage == "photo" and chunk.repeat < attempts
            return sane(chunk, step, stage) * (300 if bad else 1)

        monkeypatch.setattr(PlannedChunk, "decay_factor", factor)

    return inject


class StopAt(pl.Callback):
    """Ends a fit like a kill does, at the start of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, *_):
        if trainer.global_step == self.step:
            raise RuntimeError("killed")


class StateAt(pl.Callback):
    """Remembers the geometry at the start of a step."""

    def __init__(self, step: int) -> None:
        self.step = step
        self.geometry: dict[str, torch.Tensor] = {}

    def on_train_batch_start(self, trainer, module, *_):
        if trainer.global_step == self.step:
            self.geometry = {k: v.clone() for k, v in module.state_dict().items() if ".geometry." in k}


def state(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / CHECKPOINT, weights_only=False)["state_dict"]


def face(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The figures of the face in TensorBoard: step and value."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith("face/")]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}


def test_a_healthy_fit_repeats_nothing(finished):
    assert load_run(finished).harmful == [] and json.loads((finished / HARMFUL).read_text()) == []
    figures = face(finished)
    assert {"face/head_iou"} <= set(figures)
    assert all([step for step, _ in rows] == [0, FIRST - 1, FIRST + SECOND - 1] for rows in figures.values())


def test_a_harmful_stage_is_done_again_and_ends_well_and_a_killed_one_takes_the_same_steps(
    config, args, absurd, capsys, finished
):
    absurd(1)
    whole = fit(config, replace(args, out=args.out + "-whole"))
    (harm,) = whole.harmful
    assert (harm.stage, harm.repeated) == ("photo", True) and harm.extent > 1
    assert "stage photo made the" in capsys.readouterr().err
    iou = [value for _, value in face(whole.path)["face/head_iou"]]
    assert iou[2] < iou[1] - 0.1 and iou[3] > iou[1] - 0.02
    assert report_health(whole) and str(harm) in capsys.readouterr().out

    middle = FIRST + SECOND + 3
    with pytest.raises(RuntimeError, match="killed"):
        fit(config, args, callbacks=[StopAt(middle)])
    assert torch.load(Path(args.out) / CHECKPOINT, weights_only=False)["global_step"] == middle - 1
    resumed = fit(config, replace(args, resume=True))
    assert resumed.harmful == whole.harmful
    expected, found = state(whole.path), state(resumed.path)
    assert [name for name in expected if not torch.equal(expected[name], found[name])] == []


@pytest.mark.parametrize("undone", [False, True])
def test_where_repeats_do_not_help_the_least_harmful_attempt_is_kept_or_the_stage_undone(
    config, args, absurd, capsys, monkeypatch, undone
):
    absurd(MAX_REPEATS + 1)
    config.stages["photo"].steps = 2
    monkeypatch.setattr("headfit.fitting.guard.MAX_KEPT", 1.0 if undone else 1e6)
    start = StateAt(FIRST)
    run = fit(config, args, callbacks=[start])
    assert [(harm.repeated, harm.undone) for harm in run.harmful] == [(True, False)] * MAX_REPEATS + [(False, undone)]
    assert run.harmful[-1].extent == min(harm.extent for harm in run.harmful)
    same = {
        name: torch.equal(value, start.geometry[name])
        for name, value in state(run.path).items()
        if name in start.geometry
    }
    assert all(same.values()) == undone and len(same) > 5
    assert report_health(run).startswith(("look at", "failed")) and str(run.harmful[-1]) in capsys.readouterr().out
