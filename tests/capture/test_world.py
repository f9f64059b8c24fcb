"""The local frame: a similarity that no picture shows."""

import numpy as np
import pytest

from headfit.capture import Camera
from headfit.capture.world import WorldFrame

UTM = np.array([356_000.0, 4_560_000.0, 120.0])


def rig(shift: np.ndarray) -> list[Camera]:
    """Three cameras that look at `shift` from a metre away."""
    cameras = []
    for angle in (-0.6, 0.0, 0.6):
        c, s = np.cos(angle), np.sin(angle)
        rotation = np.array([[c, 0, -s], [0, -1, 0], [-s, 0, -c]])
        centre = shift + np.array([s, 0.0, c])
        cameras.append(Camera(f"cam{angle}", 100, 100, np.diag([90.0, 90, 1]), rotation, -rotation @ centre))
    return cameras


def test_near_origins_are_kept():
    world = WorldFrame.around(rig(np.array([0.3, 1.5, 0.0])))
    assert world.is_identity


def test_far_origins_move_to_the_rigs_focus():
    world = WorldFrame.around(rig(UTM))
    np.testing.assert_allclose(world.origin, UTM)
    assert not world.is_identity and "(356000, 4560000, 120) m" in str(world)


def test_parallel_cameras_move_to_their_mean():
    cameras = [camera for camera in rig(UTM)[:1] for _ in range(2)]
    assert np.linalg.norm(WorldFrame.around(cameras).origin - UTM) < 2


@pytest.mark.parametrize("scale", [1.0, 0.03, 200.0])
def test_a_local_camera_sees_the_same_picture(scale):
    world = WorldFrame(UTM, scale)
    points = UTM + np.random.default_rng(0).normal(0, 0.1, (20, 3)) / scale
    for camera in rig(UTM):
        local = world.local_camera(camera)
        np.testing.assert_allclose(local.project(world.to_local(points)), camera.project(points), atol=1e-4)
    np.testing.assert_allclose(world.to_world(world.to_local(points)), points, rtol=0, atol=1e-8)
    again = WorldFrame.from_dict(world.to_dict())
    assert again.scale == scale and np.array_equal(again.origin, UTM)
