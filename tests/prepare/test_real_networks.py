"""MediaPipe's own networks on a picture of a face, where they were fetched."""

import os
from pathlib import Path

import numpy as np
import pytest

from headfit.capture import Camera, CaptureSource, open_capture
from headfit.capture.landmark_schemes import dense_to_sparse
from headfit.head import load
from headfit.prepare.face_mesh import FaceMesh
from headfit.prepare.masks import PersonSegmentation
from headfit.prepare.wheel import NETWORKS, network_files
from headfit.synth.generate import Studio
from headfit.synth.paint import paint
from headfit.synth.rig import looking_along

SIDE = 320
CAPTURE = Path(__file__).parents[3] / "shared/captures/ict_talk_a"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headfit/mediapipe-0.10.14"


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    pytest.importorskip("ai_edge_litert", reason="needs pip install 'headfit[prepare]'")
    if not all((CACHE / f"{name}.tflite").is_file() for name in NETWORKS):
        pytest.skip("the networks were not fetched: run headfit prepare once")
    return network_files()


@pytest.fixture
def capture() -> CaptureSource:
    if not CAPTURE.is_dir():
        pytest.skip(f"{CAPTURE} is not there")
    return open_capture(CAPTURE)


def test_landmarks_are_those_of_the_capture(files: dict[str, Path], capture: CaptureSource) -> None:
    camera = capture.camera_index("cam04")
    image, true = capture.image(camera, 5), capture.landmarks(camera, 5)
    assert image is not None and true is not None
    found = FaceMesh(files)(image)
    assert found is not None and found.presence > 0.9
    sparse = dense_to_sparse(found.points[:, :2], found.scatter)
    errors = np.linalg.norm(sparse[36:, :2] - true[36:, :2], axis=1)  # eyes and lips
    assert np.median(errors[true[36:, 2] > 0.5]) < 0.02 * np.ptp(found.points[:, 1])


def test_the_person_is_found(files: dict[str, Path], capture: CaptureSource) -> None:
    image, mask = capture.image(4, 5), capture.mask(4, 5)
    assert image is not None and mask is not None
    person = PersonSegmentation(files)(image)
    assert ((person > 0.5) == (mask > 0)).mean() > 0.99


def test_an_empty_picture_has_no_face(files: dict[str, Path]) -> None:
    assert FaceMesh(files)(np.full((256, 256, 3), 90, np.uint8)) is None


@pytest.mark.slow
def test_the_default_heads_dense_landmarks_are_where_they_are_detected(files: dict[str, Path]) -> None:
    """On its own face at rest, which is not one of those that they were derived from, from above."""
    head, rng = load("default"), np.random.default_rng(99)
    rest = head.rest()
    studio = Studio(head, paint(head, rest, 2 * SIDE, rng), rng)
    away = np.array([0.1, 0.2, 1.0]) / np.linalg.norm([0.1, 0.2, 1.0])
    R = looking_along(-away)
    K = np.array([[4.0 * SIDE, 0, SIDE / 2], [0, 4.0 * SIDE, SIDE / 2], [0, 0, 1]])
    nose = rest[head.vertices_of("nose")].mean(0).numpy().astype(np.float64)
    camera = Camera("above", SIDE, SIDE, K, R, -R @ (nose + 1.2 * away))
    rgb, _, _ = studio.photograph(rest, camera)
    found = FaceMesh(files)(np.round(255 * rgb.clip(0, 1)).astype(np.uint8))
    assert found is not None
    expected = camera.project(head.dense_landmarks(rest).double().numpy())
    apart = np.linalg.norm(found.points[head.dense_landmark_numbers.numpy(), :2] - expected, axis=1)
    millimetre = camera.K[0, 0] / 1.2 / 1000
    assert np.median(apart) < 2.5 * millimetre and np.percentile(apart, 95) < 6 * millimetre
