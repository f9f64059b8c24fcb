"""The controls for looking through a camera."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from headfit.fitting.pictures import Picture, view_tiles
from headfit.view import through
from headfit.view.frusta import quaternion
from headfit.view.painter import Posed
from headfit.view.viewed_run import ViewedRun

if TYPE_CHECKING:
    import viser

NOWHERE = "(nowhere)"
#: Longest side, pixels, of the pictures; how far behind the head, metres, they are put up.
RESOLUTION, BEHIND = 640, 0.05


class ThroughPanel:
    """A camera's picture behind the head, where it covers what it shows; the page looks from the camera's centre.

    Args:
        server: the server; the controls are added where its page is being built.
        run: the run.
        want: asks for the page to be drawn.
    """

    def __init__(self, server: viser.ViserServer, run: ViewedRun, want: Callable[[Any], None]) -> None:
        self._server, self._run, self._want = server, run, want
        ids = [camera.id for camera in run.cameras]
        self._camera: Any = server.gui.add_dropdown("Through", [NOWHERE, *ids], initial_value=NOWHERE)
        self._kind: Any = server.gui.add_dropdown("Show", through.LOOKS, initial_value="blend")
        self._blend: Any = server.gui.add_slider("Picture - render", 0.0, 1.0, 0.05, 0.5)
        self._camera.on_update(self._chosen)
        self._kind.on_update(want)
        self._blend.on_update(want)
        self._image: viser.ImageHandle | None = None
        self._tiles: tuple[tuple[int, int, int], tuple[Picture, Picture, Picture, Picture]] | None = None

    @property
    def camera(self) -> int | None:
        """Index of the camera that is looked through."""
        return None if self._camera.value == NOWHERE else [c.id for c in self._run.cameras].index(self._camera.value)

    def draw(self, frame: int, posed: Posed, compute: bool) -> None:
        """Show the view of a frame.

        Args:
            frame: index of the frame.
            posed: the head in it.
            compute: whether a view that is not known yet is rendered now, which takes a fraction of a second.
        """
        index = self.camera
        if index is None:
            if self._image is not None:
                self._image.visible = False
            return
        key = (frame, index, self._run.version)
        if self._tiles is None or self._tiles[0] != key:
            if not compute:
                return
            camera = self._run.cameras[index]
            small = camera.scaled(min(1.0, RESOLUTION / camera.longest_side))
            pictures = self._run.image(index, frame), self._run.mask(index, frame)
            self._tiles = key, view_tiles(self._run.model, small, frame, *pictures)
        self._put_up(index, posed, through.look(self._tiles[1], self._kind.value, self._blend.value))

    def _put_up(self, index: int, posed: Posed, picture: Picture) -> None:
        camera = self._run.cameras[index]
        depth = float(camera.to_camera(posed.vertices.astype(float))[:, 2].max()) + BEHIND
        width, height, middle = through.image_plane(camera, depth)
        self._image = self._server.scene.add_image(
            "/through", picture, width, height, wxyz=quaternion(camera.R.T), position=middle
        )

    def _chosen(self, event: Any) -> None:
        client, index = event.client, self.camera
        if client is not None:
            with client.atomic():
                if index is None:
                    start = self._server.initial_camera
                    client.camera.position, client.camera.look_at = start.position, start.look_at
                    client.camera.up_direction, client.camera.fov = start.up, start.fov
                else:
                    camera = self._run.cameras[index]
                    client.camera.wxyz, client.camera.position = quaternion(camera.R.T), camera.centre
                    client.camera.fov = through.field_of_view(camera, client.camera.aspect)
        self._want(event)
