"""Lens models that are fitted on import: what is said of them, and that nothing of it stays in capture.json."""

import json
from pathlib import Path

import numpy as np
import pytest

from headfit import cli
from headfit.capture import open_capture
from headfit.capture.layouts import entries, read_layout
from headfit.capture.layouts.options import ImportOptions
from tests.support import layout_writers as write
from tests.support.layout_cameras import head_rig


def with_k4(folder: Path) -> Path:
    """A Metashape file whose lenses have a fourth radial coefficient."""
    file = write.metashape(folder, head_rig())
    text = file.read_text()
    assert "</k3>" in text
    file.write_text(text.replace("</k3>", "</k3><k4>0.4</k4>"))
    return file


def test_the_largest_error_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = with_k4(tmp_path)
    assert cli.main(["import", str(file), "--out", str(tmp_path / "capture")]) == 0
    said = capsys.readouterr().out
    assert "cameras were fitted by OpenCV's; the largest error within a picture is 0.0" in said
    content = json.loads((tmp_path / "capture" / "capture.json").read_text())
    assert "error_px" not in json.dumps(content)
    assert open_capture(tmp_path / "capture").cameras[0].lens.coefficients.any()


def test_nothing_is_said_of_exact_ones(tmp_path: Path) -> None:
    options = ImportOptions()
    read_layout("metashape", write.metashape(tmp_path, head_rig()), options)
    assert not [note for note in options.notes if "fitted" in note]


def test_a_fisheye_with_zeros_stays_a_fisheye() -> None:
    fisheye = {"model": "fisheye", "coefficients": [0, 0, 0, 0]}
    assert entries.camera("a", (64, 48), np.eye(3), np.eye(3), np.zeros(3), fisheye)["lens"] == fisheye
