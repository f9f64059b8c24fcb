import cv2
import numpy as np

from headfit.head.similarity import robust_similarity, similarity


def scene(seed: int = 0):
    rng = np.random.default_rng(seed)
    source = rng.normal(0, 0.05, (68, 3))
    rotation, _ = cv2.Rodrigues(np.array([0.4, -0.5, 0.2]))
    translation = np.array([0.1, 0.05, 0.02])
    return rng, source, rotation, translation


def test_similarity_is_recovered_exactly():
    _, source, rotation, translation = scene()
    target = 1.1 * source @ rotation.T + translation
    s, r, t = similarity(source, target, np.ones(68))
    np.testing.assert_allclose(s, 1.1)
    np.testing.assert_allclose(r, rotation, atol=1e-12)
    np.testing.assert_allclose(t, translation, atol=1e-12)


def test_a_mirrored_cloud_still_gets_a_rotation():
    _, source, _, _ = scene()
    _, r, _ = similarity(source, source * [-1, 1, 1], np.ones(68))
    np.testing.assert_allclose(np.linalg.det(r), 1.0)


def test_gross_errors_hardly_move_the_robust_one():
    rng, source, rotation, translation = scene(1)
    target = source @ rotation.T + translation
    target[:12] += rng.normal(0, 0.05, (12, 3))
    s, r, t = robust_similarity(source, target, np.ones(68))
    assert abs(s - 1) < 0.005
    assert np.abs(s * source @ r.T + t - (source @ rotation.T + translation)).max() < 0.001


def test_a_given_scale_is_kept():
    _, source, rotation, translation = scene()
    s, r, _ = similarity(source, 1.3 * source @ rotation.T + translation, np.ones(68), scale=1.0)
    assert s == 1.0
    np.testing.assert_allclose(r, rotation, atol=1e-12)
