"""Cameras that are late are found by the motion of the mouth."""

import numpy as np

from headfit.prepare.time_offsets import find_offsets, mouth_motion


def recording(delays: list[float], frames: int = 60, noise: float = 0.05) -> np.ndarray:
    """Signals `[V,F,2]` of one irregular motion, each late by its delay, foreshortened and with noise."""
    rng = np.random.default_rng(3)
    rates, phases = rng.uniform(0.05, 0.6, 8), rng.uniform(0, 6, 8)
    time = np.arange(frames)[None] - np.array(delays)[:, None]
    motion = np.sin(time[..., None] * rates + phases).sum(axis=-1)
    signals = np.stack([motion, 0.3 * motion**2], axis=-1) * rng.uniform(0.5, 1.5, (len(delays), 1, 1))
    return signals + noise * rng.normal(size=signals.shape)


def test_an_offset_of_whole_frames_is_found() -> None:
    offsets = find_offsets(recording([0, 3, -2, 0]))
    assert None not in offsets
    np.testing.assert_allclose(np.array(offsets) - offsets[0], [0, 3, -2, 0], atol=0.2)


def test_a_fraction_of_a_frame_is_reported() -> None:
    offsets = find_offsets(recording([0, 0.5, 1.5, 0], noise=0.01))
    np.testing.assert_allclose(np.array(offsets) - offsets[0], [0, 0.5, 1.5, 0], atol=0.2)


def test_a_camera_that_shows_something_else_has_no_offset() -> None:
    signals = recording([0, 1, 2])
    signals[2] = np.random.default_rng(0).normal(size=signals[2].shape)
    offsets = find_offsets(signals)
    assert offsets[2] is None and None not in offsets[:2]


def test_frames_without_landmarks_do_not_matter() -> None:
    signals = recording([0, 2, 0])
    signals[1, ::4] = np.nan
    offsets = find_offsets(signals)
    np.testing.assert_allclose(np.array(offsets) - offsets[0], [0, 2, 0], atol=0.2)


def test_too_few_frames_tell_nothing() -> None:
    assert find_offsets(recording([0, 1])[:, :8]) == [None, None]


def test_the_signals_do_not_change_with_the_size_of_the_picture() -> None:
    landmarks = np.random.default_rng(1).uniform(0, 400, (2, 5, 478, 3))
    np.testing.assert_allclose(mouth_motion(3 * landmarks), mouth_motion(landmarks))
