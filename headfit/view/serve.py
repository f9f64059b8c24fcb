"""Opening what is looked at, and serving its page."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from headfit.capture import CaptureSource, open_capture
from headfit.errors import HeadfitError
from headfit.fitting.checkpoints import find_checkpoint
from headfit.fitting.settings import load_run_settings
from headfit.view.capture_page import CapturePage
from headfit.view.page import Page, open_server
from headfit.view.run_page import RunPage
from headfit.view.viewed_run import ViewedRun

#: Seconds between two looks for the first checkpoint of a run.
LOOK_EVERY = 1.0


def open_page(path: Path, capture: Path | None, host: str, port: int) -> Page:
    """The page of a run or a capture; that of a run in progress waits for its first checkpoint.

    Args:
        path: its folder.
        capture: where the capture of a run is now; None: where it was when it was fitted, or, if it is not there any
            more, none.
        host, port: where the page is served.

    Raises:
        HeadfitError: viser is not installed, the address cannot be used, or the folder cannot be read.
    """
    if not path.is_dir():
        raise HeadfitError(f"{path}: no such folder; expected a run of `headfit fit`, or a capture")
    if (path / "capture.json").is_file():
        if capture is not None:
            raise HeadfitError(f"{path}: is a capture itself; --capture belongs to a run")
        recorded = open_capture(path)
        return CapturePage(open_server(host, port), recorded)
    recorded_run = _capture_of_run(path, capture)
    wait_for_checkpoint(path)
    run = ViewedRun(path, recorded_run)
    return RunPage(open_server(host, port), run)


def wait_for_checkpoint(run: Path) -> None:
    """Return once a run has a checkpoint, and say what is waited for. Raises HeadfitError where all are damaged."""
    if find_checkpoint(run) is not None:
        return
    print(f"{run}: no checkpoint yet; the page opens with the first one (Ctrl-C ends)", flush=True)
    while find_checkpoint(run) is None:
        time.sleep(LOOK_EVERY)


def serve(page: Page) -> None:
    """Serve a page until the process is asked to stop."""
    stop = threading.Event()
    drawing = threading.Thread(target=page.run, args=(stop,), daemon=True)
    drawing.start()
    try:
        while drawing.is_alive():
            drawing.join(0.2)
    finally:
        stop.set()
        page.server.stop()


def _capture_of_run(run: Path, given: Path | None) -> CaptureSource | None:
    args = load_run_settings(run)[1]
    where = given or Path(args.capture)
    if given is None and not where.is_dir():
        print(f"{where}: the capture is not there any more; without pictures (--capture names its new place)")
        return None
    return open_capture(where, args.selection)
