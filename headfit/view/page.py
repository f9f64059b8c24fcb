"""A page of viser: the server, its camera, and the loop that draws what was asked for last."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import numpy as np

from headfit import __version__
from headfit.capture.camera import Camera
from headfit.errors import HeadfitError
from headfit.types import Float

if TYPE_CHECKING:
    import viser

#: Seconds between two looks for a new checkpoint, while nobody asks for anything.
POLL = 1.0
#: The page's own field of view, radians: narrow, as portraits are taken.
FIELD_OF_VIEW = 0.5


def open_server(host: str, port: int) -> viser.ViserServer:
    """A server at this address; the next free port where that one is taken.

    Raises:
        HeadfitError: viser is not installed, or there is no such address here.
    """
    try:
        import viser
    except ImportError as error:
        raise HeadfitError("headfit view needs viser: pip install 'headfit[view]'") from error
    try:
        socket.create_server((host, 0)).close()  # viser would try one port after the other for ever
    except OSError as error:
        raise HeadfitError(f"--host {host}: cannot be listened at ({error.strerror or error})") from error
    with redirect_stdout(io.StringIO()):  # it prints the address, and so does the command
        server = viser.ViserServer(host=host, port=port, label=f"headfit {__version__}", verbose=False)
    # Only marks are lit. Without a GPU a browser needs ten seconds for the first of them in an environment.
    server.scene.configure_environment_map(None)
    server.scene.configure_default_lights(cast_shadow=False)
    server.gui.configure_theme(show_logo=False, show_share_button=False, dark_mode=True)
    return server


class Page:
    """What pages of runs and captures share.

    A callback of the page only says that something is wanted; one thread, that of `run`, draws it, so that no two
    threads use the head model at a time.

    Args:
        server: the server.
        cameras: the cameras of the scene; the page looks at `centre` from their side.
        centre: `[3]` metres.
        distance: from where it looks, metres.
    """

    def __init__(self, server: viser.ViserServer, cameras: Sequence[Camera], centre: Float, distance: float) -> None:
        self.server = server
        self._wanted = threading.Event()
        server.scene.world_axes.visible = False
        self.up = up_direction(np.stack([camera.R[1] for camera in cameras]))
        server.scene.set_up_direction(self.up)
        aside = np.mean([camera.centre for camera in cameras], axis=0) - centre
        server.initial_camera.position = centre + aside * distance / max(float(np.linalg.norm(aside)), 1e-3)
        server.initial_camera.look_at = centre
        server.initial_camera.up = self.up
        server.initial_camera.fov = FIELD_OF_VIEW

    @property
    def address(self) -> str:
        """The address of the page."""
        host = self.server.get_host()
        return f"http://{'localhost' if host in ('0.0.0.0', '127.0.0.1') else host}:{self.server.get_port()}"

    def want(self, _event: Any = None) -> None:
        """Ask for the page to be drawn again: the callback of every control."""
        self._wanted.set()

    @property
    def is_outdated(self) -> bool:
        """Whether something else has been asked for since the page was last drawn."""
        return self._wanted.is_set()

    def run(self, stop: threading.Event) -> None:
        """Draw until `stop` is set."""
        self._wanted.set()
        while not stop.is_set():
            pause = self.pause()
            if pause is None:
                if not self._wanted.wait(POLL) and not self.has_news():
                    continue
            else:
                time.sleep(pause)
            self._wanted.clear()
            self.draw()
            if self.pause() is None and not self.is_outdated:
                self.draw_at_rest()

    def pause(self) -> float | None:
        """Seconds until the next frame is due; None unless the page is playing."""
        return None

    def has_news(self) -> bool:
        """Whether what is shown has changed by itself; asked every `POLL` seconds at rest."""
        return False

    def draw(self) -> None:
        """Draw what must follow the mouse."""
        raise NotImplementedError

    def draw_at_rest(self) -> None:
        """Draw what takes longer, and may end early when `is_outdated`."""


def up_direction(down: Float) -> Float:
    """The unit vector `[3]` against which the y axes `down [C,3]` of cameras point on average; +y if there is none."""
    up = -down.mean(axis=0)
    length = np.linalg.norm(up)
    return np.asarray(up / length) if length > 1e-3 else np.array([0.0, 1.0, 0.0])
