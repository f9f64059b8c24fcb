"""A tiny synthetic capture is read back and compared with its own ground truth."""

from pathlib import Path

import numpy as np
import pytest

from headfit.capture import open_capture
from headfit.errors import HeadfitError
from headfit.head import load
from headfit.synth import synthesize
from headfit.synth.performance import KEY_POSES, perform
from headfit.synth.rig import looking_along, portrait_rig

SMALL = {"cameras": 2, "frames": 3, "width": 48, "height": 64}


@pytest.fixture(scope="module")
def capture(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "small"
    synthesize(out, **SMALL, seed=0)
    return open_capture(out)


def views(capture):
    return [(camera, frame) for camera in range(2) for frame in range(3)]


def test_every_view_has_all_its_files(capture):
    assert [camera.id for camera in capture.cameras] == ["cam00", "cam01"]
    assert capture.frames == ["000000", "000001", "000002"]
    for view in views(capture):
        assert capture.image(*view).shape == (64, 48, 3)
        assert capture.mask(*view).shape == (64, 48)
        assert capture.landmarks(*view).shape == (68, 3)


def test_the_head_fills_the_picture_and_is_lit(capture):
    for view in views(capture):
        head = np.isin(capture.mask(*view), class_ids(capture, "skin", "hair", "upper_lip", "lower_lip"))
        assert 0.15 < head.mean() < 0.7
        assert 40 < capture.image(*view)[head].mean() < 230


def class_ids(capture, *names):
    return [value for value, name in capture.label_names.items() if name in names]


def test_masks_lie_where_the_ground_truth_projects(capture):
    truth = capture.ground_truth()
    eye = truth.part_vertices(truth.part_names.index("left_eye"))
    for camera, frame in views(capture):
        pixels = capture.cameras[camera].project(truth.vertices(capture.frames[frame])[eye])
        low, high = pixels.min(axis=0) - 1, pixels.max(axis=0) + 1
        rows, columns = np.nonzero(np.isin(capture.mask(camera, frame), class_ids(capture, "left_eye")))
        assert ((columns >= low[0]) & (columns <= high[0]) & (rows >= low[1]) & (rows <= high[1])).all()


def test_visible_landmarks_lie_on_the_head_and_some_are_hidden(capture):
    hidden = 0
    for view in views(capture):
        landmarks, mask = capture.landmarks(*view), capture.mask(*view)
        seen = landmarks[:, 2] > 0
        hidden += (~seen).sum()
        column, row = np.floor(landmarks[seen, :2]).astype(int).T
        assert (mask[row, column] > 0).mean() > 0.9  # a silhouette's landmark may lie half a pixel outside
    assert hidden > 20  # two side views


@pytest.mark.slow
def test_the_seed_decides_everything(capture, tmp_path):
    synthesize(tmp_path / "same", **SMALL, seed=0)
    synthesize(tmp_path / "other", **SMALL, seed=1)
    same, other = open_capture(tmp_path / "same"), open_capture(tmp_path / "other")
    np.testing.assert_array_equal(same.image(1, 2), capture.image(1, 2))
    np.testing.assert_array_equal(same.mask(1, 2), capture.mask(1, 2))
    assert (other.mask(1, 2) != capture.mask(1, 2)).any()


def test_a_capture_is_never_overwritten(capture):
    with pytest.raises(HeadfitError, match="already holds a capture"):
        synthesize(Path(capture.location), **SMALL, seed=0)


@pytest.mark.parametrize("frames", [1, 2, 8, 20])
def test_performances_of_any_length_pass_through_the_key_poses(frames):
    names = sorted({name for pose in KEY_POSES for name in pose.units})
    head = load("default")
    performance = perform(frames, head, np.random.default_rng(0))
    assert performance.expression.shape == (frames, len(head.expression_names))
    assert performance.joints.shape == (frames, len(head.joint_names), 6)
    assert (performance.expression >= 0).all() and (performance.expression <= 1).all()
    assert (performance.expression[0] == 0).all()
    if frames >= 8:
        used = [head.expression_names.index(name) for name in names]
        assert (performance.expression[:, used].max(axis=0) > 0.2).all()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_cameras_look_at_the_target_upright(count):
    target = np.array([0.1, -0.2, 0.3])
    for camera in portrait_rig(count, 192, 256, target, np.random.default_rng(0)):
        in_camera = camera.to_camera(target)
        np.testing.assert_allclose(in_camera[:2], 0, atol=1e-12)
        assert 1 < in_camera[2] < 1.3
        np.testing.assert_allclose(camera.R @ camera.R.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(camera.R) > 0
        above = camera.project(target + np.array([0, 0.1, 0]))
        assert above[1] < camera.project(target)[1]


def test_looking_along_an_axis():
    np.testing.assert_allclose(looking_along(np.array([0.0, 0, -1])), np.diag([1.0, -1, -1]), atol=1e-12)
