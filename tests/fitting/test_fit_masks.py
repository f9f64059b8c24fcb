"""Masks that a fit makes of its capture."""

import json
import shutil
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from headfit.capture import CaptureSource, open_capture
from headfit.capture.framing import Framing
from headfit.errors import HeadfitError
from headfit.evaluate.health import examine
from headfit.fitting.callbacks import KeepLast
from headfit.fitting.config import RunArgs
from headfit.fitting.fit_masks import (
    FOLDER,
    FitMasks,
    make_masks,
    reason_to_make_masks,
    with_fit_masks,
)
from headfit.fitting.guard import Guard
from headfit.fitting.run import _begin, build, fit
from headfit.fitting.run_folder import load_run
from headfit.fitting.schedule import Plan
from headfit.fitting.settings import load_config
from headfit.segmentation.labels import (
    BACKGROUND,
    CLOTHES,
    HAIR,
    LABELS_BY_FIT,
    LIPS,
    MOUTH,
    SKIN,
    TEETH,
    UNKNOWN,
    write_mask,
)
from tests.support.flat_mouth import FlatMouth
from tests.support.relabelled import INSIDE, relabelled

MATTE = {"background": "background"}


@pytest.fixture(scope="module")
def matte(capture_path, tmp_path_factory):
    """The capture with masks that tell the person from the background, and nothing else."""
    return relabelled(capture_path, tmp_path_factory.mktemp("matte") / "capture", lambda n: MATTE.get(n, "unknown"))


@pytest.fixture(scope="module")
def making(settings, tmp_path_factory):
    """The settings with a stage that makes masks, and one for hair after it."""
    path = tmp_path_factory.mktemp("config") / "making.yaml"
    more = """  refine:
    make_masks: true
    steps: 4
    resolution: 80
    views_per_frame: 2
    rates: {translation: 0.0002, expression: 0.01}
    weights: {mask: 1, photometric: 0.5, expression: 1.0e-3}
  hair:
    steps: 2
    resolution: 64
    rates: {hair: 0.001}
    weights: {hair: 1}
  finish:
    frames: windows
    make_masks: true
    steps: 4
    resolution: 80
    frames_per_step: 1
    views_per_frame: 2
    rates: {translation: 0.0002, expression: 0.01}
    weights: {mask: 1, photometric: 0.5, expression: 1.0e-3}
"""
    path.write_text(settings.read_text() + more)
    return path


class StartsOfStages(pl.Callback):
    """Remembers by which masks the guard judges each stage."""

    def __init__(self) -> None:
        self.made_masks: dict[str, bool] = {}

    def on_train_batch_start(self, trainer, module, *_):
        guard = next(callback for callback in trainer.callbacks if isinstance(callback, Guard))
        self.made_masks.setdefault(module.chunk.stage, guard._start["made_masks"])


@pytest.fixture(scope="module")
def starts():
    return StartsOfStages()


@pytest.fixture(scope="module")
def made(matte, making, starts, tmp_path_factory):
    """The folder of a fit that made its masks."""
    out = tmp_path_factory.mktemp("made") / "run"
    fit(load_config(making, ["hold_out=[cam01]"]), RunArgs(capture=str(matte), out=str(out)), callbacks=[starts])
    return out


def module_of(capture: Path, settings: Path, out: Path):
    source = open_capture(capture)
    return build(load_config(settings), RunArgs(out=str(out)), source), source


def test_masks_are_made_where_those_of_the_capture_tell_too_little_or_are_rough(capture_path, matte, making, tmp_path):
    rough = relabelled(capture_path, tmp_path / "rough", lambda name: name, rough=True)
    parser = relabelled(capture_path, tmp_path / "parser", lambda name: "inner_mouth" if name in INSIDE else name)
    lips = relabelled(capture_path, tmp_path / "lips", lambda name: "ignore" if name in INSIDE else name)
    expected = {
        capture_path: None,
        parser: None,
        lips: None,
        matte: "the masks tell no lips",
        rough: "the masks are rough",
    }
    for capture, reason in expected.items():
        module, source = module_of(capture, making, tmp_path)
        assert reason_to_make_masks(module.model, source) == reason, capture
    assert "hair" in {chunk.stage for chunk in module_of(matte, making, tmp_path)[0].plan.chunks}
    shutil.rmtree(rough / "masks")
    module, source = module_of(rough, making, tmp_path)
    assert reason_to_make_masks(module.model, source) == "there are no masks"
    shutil.copytree(matte / "masks", rough / "masks")
    shutil.rmtree(rough / "images")
    module, source = module_of(rough, making, tmp_path)
    assert not reason_to_make_masks(module.model, source), "no picture tells where a part ends"


def test_masks_are_not_made_unless_a_stage_asks_for_it(matte, settings, tmp_path):
    text = "  hair:\n    steps: 2\n    rates: {hair: 0.001}\n    weights: {hair: 1}\n"
    path = tmp_path / "asks-not.yaml"
    path.write_text(settings.read_text() + text)
    module, _ = module_of(matte, path, tmp_path)
    assert "hair" not in {chunk.stage for chunk in module.plan.chunks}, "the matte tells no hair"
    late = (
        "  finish:\n    frames: windows\n    make_masks: true\n    rates: {expression: 0.01}\n    weights: {mask: 1}\n"
    )
    path.write_text(settings.read_text() + text + late)
    module, _ = module_of(matte, path, tmp_path)
    assert "hair" not in {chunk.stage for chunk in module.plan.chunks}, "masks of tracked frames come too late for it"


def test_a_view_without_a_made_mask_keeps_what_its_own_tells(matte, tmp_path):
    source = open_capture(matte)
    both = FitMasks(source, tmp_path, LABELS_BY_FIT)
    given = source.mask(0, 0)
    assert given is not None
    background = given == next(value for value, name in source.label_names.items() if name == "background")
    np.testing.assert_array_equal(both.mask(0, 0), np.where(background, BACKGROUND, UNKNOWN))
    made = np.full(given.shape, LIPS, np.uint8)
    write_mask(tmp_path / FOLDER / source.cameras[0].id / f"{source.frames[0]}.png", made)
    np.testing.assert_array_equal(both.mask(0, 0), made)
    both.made_frames = {1}
    np.testing.assert_array_equal(both.mask(0, 0), np.where(background, BACKGROUND, UNKNOWN))
    assert both.frames == source.frames and both.cameras[1] is source.cameras[1]
    image = source.image(1, 1)
    assert image is not None
    np.testing.assert_array_equal(both.image(1, 1), image)


def test_a_view_without_a_made_mask_has_its_teeth_by_colours(tmp_path):
    source = FlatMouth()
    found = FitMasks(cast(CaptureSource, source), tmp_path, LABELS_BY_FIT).mask(0, 0)
    assert found is not None
    for region, value in ((source.lip, LIPS), (source.teeth, TEETH), (source.cavity, MOUTH)):
        assert (found[region] == value).all()


@pytest.mark.slow
def test_a_fit_goes_on_with_the_masks_that_it_made(made, matte):
    run = load_run(made)
    assert run.model.capture.made_masks and run.model.masks_show_lips
    assert sorted(path.name for path in (made / FOLDER).iterdir()) == ["cam00", "cam02"], "never of held-out cameras"
    capture = open_capture(matte)
    seen = with_fit_masks(capture, run.model, made)
    np.testing.assert_array_equal(seen.mask(0, 0), FitMasks(capture, made, LABELS_BY_FIT).mask(0, 0))
    assert seen.label_names == run.model.capture.label_names
    health, views = examine(run, capture)
    assert not health.ignored and np.isfinite(views.head_iou).any()


@pytest.mark.slow
def test_a_fit_without_masks_makes_those_of_lips_and_eyes(capture_path, making, tmp_path):
    """And of nothing else: neither background nor hair. Held-out cameras have none, which is no gap."""
    bare = relabelled(capture_path, tmp_path / "bare", lambda name: name)
    content = json.loads((bare / "capture.json").read_text())
    del content["classes"]
    (bare / "capture.json").write_text(json.dumps(content))
    shutil.rmtree(bare / "masks")
    out = tmp_path / "run"
    run = fit(load_config(making, ["hold_out=[cam01]"]), RunArgs(capture=str(bare), out=str(out)))
    assert run.model.masks_show_lips and not run.model.has_hair
    assert "missing mask" not in run.skipped
    source = with_fit_masks(open_capture(bare), run.model, out)
    assert source.mask(1, 0) is None and source.has_mask(1, 0)
    told = set(np.unique([source.mask(camera, frame) for camera in (0, 2) for frame in (0, 1)]))
    assert {SKIN, LIPS, UNKNOWN} <= told and not told & {BACKGROUND, HAIR, CLOTHES}
    health, views = examine(run, open_capture(bare))
    assert health.floor.head_iou is None and np.isnan(views.head_iou).all(), "no outline is known"


@pytest.mark.slow
def test_each_window_has_masks_of_its_own_before_its_stage(matte, making, tmp_path, monkeypatch):
    """Those of a window that comes later, or that another process has made, do not count yet."""
    made, counted, seen, out = [], {}, {}, tmp_path / "run"

    class Counted(pl.Callback):
        def on_train_batch_start(self, trainer, module, batch, *_):
            seen.setdefault(module.chunk.stage, set()).update((camera, frame) for frame, camera in batch.pairs)
            counted[module.chunk.stage] = getattr(module.data.capture, "made_frames", None)

    def spied(model, capture, views, run, cut_outline=True):
        assert not isinstance(capture, FitMasks), "masks are made of the given ones"
        made.append((sorted(views), cut_outline))
        return make_masks(model, capture, views, run, cut_outline)

    monkeypatch.setattr("headfit.fitting.mask_maker.make_masks", spied)
    config = load_config(making, ["stages.rigid.frames=key", "stages.refine.frames=key", "key_frames=1"])
    config.stages["finish"].views_per_frame, config.stages["finish"].steps = 1, 2
    (key,) = Plan(config.stages, 2, 2, 1).key
    write_mask(out / FOLDER / "cam00" / "000001.png", np.zeros((80, 60), np.uint8))
    fit(config, RunArgs(capture=str(matte), out=str(out)), callbacks=[Counted()])
    (of_key, cut), (of_window, cut_again) = made
    assert cut and of_key == [(camera, key) for camera in range(3)] and not cut_again
    assert of_window == sorted(seen["finish"]) and len(of_window) == 2, "those that are looked at, of three"
    assert counted == {"rigid": None, "photo": None, "refine": {key}, "hair": {key}, "finish": {0, 1}}


@pytest.mark.slow
def test_a_stage_is_judged_by_the_masks_that_it_has(made, starts):
    assert starts.made_masks == {"rigid": False, "photo": False, "refine": True, "hair": True, "finish": True}
    events = EventAccumulator(str(made / "tensorboard"))
    events.Reload()
    # Before refine, after it and after hair; not after finish, whose windows get other masks in its course.
    assert [event.step for event in events.Scalars("face/head_iou")] == [4 + 6 - 1, 4 + 6 + 4 - 1, 4 + 6 + 4 + 2 - 1]


@pytest.mark.slow
def test_a_shard_uses_the_masks_of_its_person(made, matte, making, tmp_path):
    module, source = module_of(matte, making, tmp_path)
    _begin(module, made)
    assert module.model.capture.made_masks and module.model.masks_show_lips
    expected = FitMasks(source, made, module.model.capture.label_names).mask(0, 0)
    np.testing.assert_array_equal(module.data.capture.mask(0, 0), expected)
    framings = [Framing(0, 0, camera.width, camera.height, camera.width, camera.height) for camera in source.cameras]
    assert module.data.view_batch([(0, 0)], framings).label_prob.shape[-1] == len(module.model.classes)


class Killed(Exception):
    """Ends a fit, as a kill would."""


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["rigid", "photo", "refine", "finish"])
def test_a_run_killed_before_or_after_it_made_masks_resumes_to_the_same_numbers(
    stage, made, matte, making, tmp_path, monkeypatch
):
    """Killed in the first stage; right before the masks are made, of which some are there; right after it; and in the
    middle of a window."""
    args = RunArgs(capture=str(matte), out=str(tmp_path / "run"))
    config = load_config(making, ["hold_out=[cam01]"])
    keep = KeepLast.on_train_epoch_end

    def killed(self, trainer, module):
        keep(self, trainer, module)
        if module.chunk.stage == stage and (stage != "photo" or module.chunk.ends_stage):
            raise Killed

    monkeypatch.setattr(KeepLast, "on_train_epoch_end", killed)
    with pytest.raises(Killed):
        fit(config, args)
    monkeypatch.undo()
    masks = tmp_path / "run" / FOLDER
    assert masks.exists() == (stage in ("refine", "finish"))
    if stage == "photo":
        for file in (made / FOLDER).glob("*/*.png"):
            write_mask(masks / file.relative_to(made / FOLDER), np.zeros((80, 60), np.uint8))
    args.resume = True
    state = fit(config, args).model.state_dict()
    for name, value in load_run(made).model.state_dict().items():
        assert torch.equal(value, state[name]), name


def test_a_run_is_not_resumed_with_masks_of_other_labels(capture_path, matte, settings, tmp_path):
    args = RunArgs(capture=str(matte), out=str(tmp_path / "run"))
    config = load_config(settings, ["stages.rigid.steps=2", "stages.photo.steps=2"])
    fit(config, args)
    args.capture, args.resume = str(capture_path), True
    with pytest.raises(HeadfitError, match="other labels than when the run began"):
        fit(config, args)


@pytest.mark.slow
def test_a_run_whose_masks_are_gone_is_not_resumed(made, matte, making, tmp_path):
    out = tmp_path / "run"
    shutil.copytree(made, out)
    shutil.rmtree(out / FOLDER)
    config = load_config(making, ["hold_out=[cam01]"])
    with pytest.raises(HeadfitError, match="run/masks: the masks that the run made are gone"):
        fit(config, RunArgs(capture=str(matte), out=str(out), resume=True))
