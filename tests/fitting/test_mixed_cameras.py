"""Cameras with pictures of any size: none decides the resolution of the others, and background is not decoded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from headfit.capture import open_capture
from headfit.capture.framing import framings_at
from headfit.fitting.config import RunArgs
from headfit.fitting.initialise_pose import initialise_pose
from headfit.fitting.run import build, fit

Picture = np.ndarray


def changed(source: Path, out: Path, picture: Callable[[Picture], Picture], pixel: np.ndarray) -> Path:
    """The capture with the pictures of its first camera changed; `pixel` `[3,3]` does the same to its pixels."""
    shutil.copytree(source, out)
    manifest = json.loads((out / "capture.json").read_text())
    camera = manifest["cameras"][0]
    for kind in ("images", "masks"):
        for file in (out / kind / camera["id"]).glob("*.png"):
            changed_picture = picture(cv2.imread(str(file), cv2.IMREAD_UNCHANGED))
            cv2.imwrite(str(file), changed_picture)
            camera["height"], camera["width"] = changed_picture.shape[:2]
    camera["K"] = (pixel @ np.array(camera["K"])).tolist()
    for file in (out / "landmarks" / camera["id"]).glob("*.json"):
        rows = np.array(json.loads(file.read_text()))
        rows[:, :2] = rows[:, :2] @ pixel[:2, :2].T + pixel[:2, 2]
        file.write_text(json.dumps(rows.tolist()))
    (out / "capture.json").write_text(json.dumps(manifest))
    return out


@pytest.fixture
def magnified(capture_path, tmp_path):
    def picture(image: Picture) -> Picture:
        return cv2.resize(image, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST)

    return changed(capture_path, tmp_path / "magnified", picture, np.diag([8.0, 8.0, 1.0]))


@pytest.fixture
def far_away(capture_path, tmp_path):
    """The head of 60x80 pixels somewhere in a picture of 460x880."""

    def picture(image: Picture) -> Picture:
        edges = ((500, 300), (100, 300), (0, 0))[: image.ndim]
        return np.pad(image, edges)

    shift = np.array([[1.0, 0, 100], [0, 1, 500], [0, 0, 1]])
    return changed(capture_path, tmp_path / "far", picture, shift)


def test_a_witness_camera_of_many_pixels_changes_next_to_nothing(capture_path, magnified, config, args, tmp_path):
    config.stages = {"rigid": config.stages["rigid"]}
    before = fit(config, args).model.vertices(0)
    after = fit(config, RunArgs(capture=str(magnified), out=str(tmp_path / "witness"))).model.vertices(0)
    assert (after - before).norm(dim=-1).max() < 0.002


def test_pixels_that_are_not_square_lose_no_detail(capture_path, config, args, tmp_path):
    """Of pictures twice as high, a framing keeps as many columns, though the head's longest side is longer."""

    def picture(image: Picture) -> Picture:
        return cv2.resize(image, None, fx=1, fy=2, interpolation=cv2.INTER_NEAREST)

    sizes = []
    for path in (capture_path, changed(capture_path, tmp_path / "high", picture, np.diag([1.0, 2.0, 1.0]))):
        capture = open_capture(path)
        module = build(config, args, capture)
        initialise_pose(module.model, capture)
        framing = module.model.head_windows[0].framing(40)
        sizes.append((framing.out_width, framing.out_height))
    assert sizes[1] == pytest.approx((sizes[0][0], 2 * sizes[0][1]), abs=1)


def test_what_is_far_from_the_head_is_not_decoded(far_away, config, args):
    capture = open_capture(far_away)
    module = build(config, args, capture)
    whole = framings_at(module.model.head_windows, 1000)[0]
    assert (whole.out_width, whole.out_height) == (460, 880), "before the head is found"
    initialise_pose(module.model, capture)
    near = module.data.view_batch([(0, 0)], framings_at(module.model.head_windows, 1000))
    assert max(near.image.shape[1:3]) < 300
    head = (near.label_prob[0, ..., 0] < 255) & (near.label_weight[0] > 0)
    full = module.data.view_batch([(0, 0)], [whole] * 3)
    assert head.sum() == ((full.label_prob[0, ..., 0] < 255) & (full.label_weight[0] > 0)).sum(), (
        "the head is all there"
    )
    small = module.data.view_batch([(0, 0), (0, 1)], framings_at(module.model.head_windows, 40))
    assert max(small.image.shape[1:3]) < 100
