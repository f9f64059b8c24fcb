"""MediaPipe's own networks on a picture of a face, where they were fetched."""

import os
from pathlib import Path

import numpy as np
import pytest

from headfit.capture import open_capture
from headfit.capture.landmark_schemes import dense_to_sparse
from headfit.prepare.face_mesh import FaceMesh
from headfit.prepare.masks import PersonSegmentation
from headfit.prepare.wheel import NETWORKS, network_files

CAPTURE = Path(__file__).parents[3] / "shared/captures/ict_talk_a"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headfit/mediapipe-0.10.14"


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    pytest.importorskip("ai_edge_litert", reason="needs pip install 'headfit[prepare]'")
    if not all((CACHE / f"{name}.tflite").is_file() for name in NETWORKS):
        pytest.skip("the networks were not fetched: run headfit prepare once")
    if not CAPTURE.is_dir():
        pytest.skip(f"{CAPTURE} is not there")
    return network_files()


def test_landmarks_are_those_of_the_capture(files: dict[str, Path]) -> None:
    capture = open_capture(CAPTURE)
    camera = capture.camera_index("cam04")
    image, true = capture.image(camera, 5), capture.landmarks(camera, 5)
    assert image is not None and true is not None
    found = FaceMesh(files)(image)
    assert found is not None and found.presence > 0.9
    sparse = dense_to_sparse(found.points[:, :2], found.scatter)
    errors = np.linalg.norm(sparse[36:, :2] - true[36:, :2], axis=1)  # eyes and lips
    assert np.median(errors[true[36:, 2] > 0.5]) < 0.02 * np.ptp(found.points[:, 1])


def test_the_person_is_found(files: dict[str, Path]) -> None:
    capture = open_capture(CAPTURE)
    image, mask = capture.image(4, 5), capture.mask(4, 5)
    assert image is not None and mask is not None
    person = PersonSegmentation(files)(image)
    assert ((person > 0.5) == (mask > 0)).mean() > 0.99


def test_an_empty_picture_has_no_face(files: dict[str, Path]) -> None:
    assert FaceMesh(files)(np.full((256, 256, 3), 90, np.uint8)) is None
