"""Some frames and cameras of a capture are the same views as in the whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from headfit import cli
from headfit.capture import open_capture
from headfit.capture.selection import Selection, frame_slice
from headfit.errors import HeadfitError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", range(7)),
        ("2", [2]),
        ("-1", [6]),
        ("1:4", [1, 2, 3]),
        ("::3", [0, 3, 6]),
        ("1:6:2", [1, 3, 5]),
        ("5:", [5, 6]),
    ],
)
def test_ranges(text: str, expected: list[int]) -> None:
    assert list(range(7)[frame_slice(text)]) == list(expected)
    assert Selection(text).frame_indices([str(name) for name in range(7)]) == list(expected)


@pytest.mark.parametrize("text", ["a", "1:2:3:4", "1:5:0", "5:1:-1", "1.5:3"])
def test_what_is_no_range_is_named(text: str) -> None:
    with pytest.raises(HeadfitError, match=f"--frames {text}: expected START:STOP"):
        frame_slice(text)


def test_the_chosen_views_are_those_of_the_whole(write_capture: Callable[..., Path]) -> None:
    root = write_capture(frames=4)
    whole, part = open_capture(root), open_capture(root, Selection("1::2", "cam2, cam0"))
    assert part.frames == ["0001", "0003"] and [camera.id for camera in part.cameras] == ["cam2", "cam0"]
    for camera, of_whole in enumerate((2, 0)):
        for frame, at in enumerate((1, 3)):
            for kind in ("image", "mask", "landmarks"):
                np.testing.assert_array_equal(getattr(part, kind)(camera, frame), getattr(whole, kind)(of_whole, at))
    points = np.full((68, 3), 0.5)
    part.save_landmarks(0, 1, points)
    np.testing.assert_array_equal(whole.landmarks(2, 3), points)
    assert part.unreferenced_files() == []


def test_an_empty_selection_is_named(write_capture: Callable[..., Path]) -> None:
    root = write_capture(frames=2)
    with pytest.raises(HeadfitError, match="capture: --frames 5:9: leaves none of the 2 frames"):
        open_capture(root, Selection("5:9"))
    with pytest.raises(HeadfitError, match="--cameras: no camera cam7; the cameras are cam0, cam1, cam2"):
        open_capture(root, Selection(cameras="cam0,cam7"))


def test_check_reads_the_chosen_views_only(write_capture: Callable[..., Path], capsys: pytest.CaptureFixture) -> None:
    root = write_capture(frames=3, face=True)
    (root / "images" / "cam1" / "0002.png").write_bytes(b"")
    assert cli.main(["check", str(root)]) == 1
    assert cli.main(["check", str(root), "--frames", "0:2"]) == 0
    assert cli.main(["check", str(root), "--cameras", "cam0,cam2"]) == 0
    assert cli.main(["check", str(root), "--cameras", "cam0", "--fix"]) == 2
    assert "--fix compares all cameras" in capsys.readouterr().err
