import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from headfit import cli
from headfit.errors import HeadfitError
from headfit.synth import synthesize
from headfit.view.capture_page import CapturePage
from headfit.view.run_page import RunPage
from headfit.view.serve import open_page
from tests.support.made_run import write_run

pytest.importorskip("viser", reason="the page needs viser: pip install 'headfit[view]'")
PORT = 18090


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("synth") / "capture"
    synthesize(path, cameras=3, frames=3, width=60, height=80, seed=1)
    return path


def drawn(page, until) -> None:
    """Let a page draw until a condition holds, at most two minutes, and end it."""
    stop = threading.Event()
    failed: list[BaseException] = []

    def run() -> None:
        try:
            page.run(stop)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    end = time.monotonic() + 120
    while not until() and not failed and time.monotonic() < end:
        time.sleep(0.02)
    stop.set()
    thread.join()
    page.server.stop()
    assert not failed and until()


@pytest.mark.slow
def test_every_control_of_a_run_is_drawn(shared_model, capture: Path, tmp_path: Path) -> None:
    """The cameras of the run are those of the capture by name, so that pictures are found."""
    content = json.loads((capture / "capture.json").read_text())
    run = write_run(tmp_path / "run", shared_model, capture=str(capture))
    page = open_page(run, None, "127.0.0.1", PORT)
    assert isinstance(page, RunPage) and content["frames"]
    page._mode.value = "error"
    page._wireframe.value = True
    page._parts["teeth"].value = False
    page._through._camera.value = page._run.cameras[1].id
    nose = page._run.painter.pose(0).vertices[shared_model.head.vertices_of("nose").numpy()].mean(axis=0)
    page._track._ray = np.array([0.0, 0, 2]) + nose * [1, 1, 0], np.array([0.0, 0, -1])
    page._curves._choice.value = "joint jaw"
    page._timeline._slider.value = 1

    def done() -> bool:
        return page._error is not None and page._through._tiles is not None and page._curves._plot is not None

    drawn(page, done)
    assert "distance" in page._mode.options  # the capture has true meshes
    scene = page.server.scene
    assert scene.get_handle_by_name("/through").visible and not page._head.visible
    assert scene.get_handle_by_name("/wireframe").visible
    assert "nose" in page._track._text.content
    assert scene.get_handle_by_name("/track/way").points.shape == (2, 2, 3)
    assert "**17.19**" in page._curves._values.content  # 0.3 radians


@pytest.mark.slow
def test_a_capture_says_which_camera_disagrees(capture: Path) -> None:
    content = json.loads((capture / "capture.json").read_text())
    moved = content["cameras"][2]["t"]
    content["cameras"][2]["t"] = [moved[0] + 0.03, *moved[1:]]
    turned = capture.with_name("turned")
    turned.mkdir()
    for name in ("images", "masks", "landmarks"):
        (turned / name).symlink_to(capture / name)
    (turned / "capture.json").write_text(json.dumps(content))
    page = open_page(turned, None, "127.0.0.1", PORT)
    assert isinstance(page, CapturePage)
    page._camera.value = "cam02"
    drawn(page, lambda: page._findings is not None)
    assert page.server.scene.get_handle_by_name("/evidence/points").points.shape[1] == 3
    assert "**disagrees**" in page._table.content
    assert page._picture is not None


@pytest.mark.slow
def test_a_run_whose_capture_is_gone_is_shown_without_pictures(run_folder: Path, capsys) -> None:
    page = open_page(run_folder, None, "127.0.0.1", PORT)
    page.server.stop()
    assert "--capture" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_is_shown_as_soon_as_it_has_a_checkpoint(run_folder: Path, capsys, monkeypatch) -> None:
    written = run_folder / "checkpoints"
    away = written.rename(run_folder / "not yet")
    monkeypatch.setattr("headfit.view.serve.time.sleep", lambda seconds: away.rename(written))
    page = open_page(run_folder, None, "127.0.0.1", PORT)
    page.server.stop()
    assert isinstance(page, RunPage) and f"{run_folder}: no checkpoint yet" in capsys.readouterr().out


def test_a_capture_has_no_capture_of_its_own(capture: Path) -> None:
    with pytest.raises(HeadfitError, match="--capture belongs to a run"):
        open_page(capture, capture, "127.0.0.1", PORT)


@pytest.mark.parametrize("name", ["nothing", "empty"])
def test_what_is_neither_is_said_in_one_line(tmp_path: Path, capsys, name: str) -> None:
    (tmp_path / "empty").mkdir()
    assert cli.main(["view", str(tmp_path / name)]) == 2
    message = capsys.readouterr().err
    assert message.count("\n") == 1 and str(tmp_path / name) in message
