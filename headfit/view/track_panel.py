"""The controls for picking a vertex and following it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from headfit.types import Float
from headfit.view import tracking
from headfit.view.glb import ColouredSurface
from headfit.view.painter import Posed
from headfit.view.viewed_run import ViewedRun

if TYPE_CHECKING:
    import viser

#: Frames before and after the current one over which a vertex is followed; cameras that are shown.
REACH, MAX_CAMERAS = 12, 12
NOTHING = "Click on the head: the vertex is followed in every view."


class TrackPanel:
    """The vertex that was clicked on: its way through neighbouring frames, in space and in each camera's picture.

    Args:
        server: the server; the controls are added where its page is being built.
        run: the run.
        want: asks for the page to be drawn.
    """

    def __init__(self, server: viser.ViserServer, run: ViewedRun, want: Callable[[Any], None]) -> None:
        self._server, self._run, self._want = server, run, want
        self._text = server.gui.add_markdown(NOTHING)
        self._sheet: viser.GuiImageHandle | None = None
        self._folder = server.gui.add_folder("Views", visible=False)
        self._ray: tuple[Float, Float] | None = None
        self._vertex: int | None = None
        server.scene.on_click()(self._clicked)

    def marker(self, posed: Posed) -> list[ColouredSurface]:
        """What marks the vertex in a picture of this frame; nothing without one."""
        return [] if self._vertex is None else [tracking.marker(posed.vertices[self._vertex])]

    def draw(self, posed: Posed, in_scene: bool) -> None:
        """Find the vertex of the last click on the head in this frame, and mark it in the scene, or do not."""
        faces = self._run.painter.head_faces
        ray, self._ray = self._ray, None
        if ray is not None:
            hit = tracking.first_hit(*ray, posed.vertices, faces)
            self._vertex = None if hit is None else hit[0]
            self._text.content = NOTHING if hit is None else f"Vertex {self._vertex}: {self._labels(hit[0])}"
        if not in_scene:
            self._server.scene.remove_by_name("/track/vertex")
        elif self._vertex is not None:
            self._server.scene.add_icosphere(
                "/track/vertex", tracking.RADIUS, color=tracking.HIDDEN, position=posed.vertices[self._vertex]
            )

    def draw_at_rest(self, frame: int, posed: Posed, is_outdated: Callable[[], bool]) -> None:
        """Follow the vertex through the frames around `frame`."""
        self._folder.visible = self._vertex is not None
        if self._vertex is None:
            self._server.scene.remove_by_name("/track")
            return
        frames = tracking.window(frame, len(self._run.frames), REACH)
        track = np.empty((len(frames), 3))
        for index, each in enumerate(frames):
            if is_outdated():
                return
            track[index] = self._run.painter.pose(each).vertices[self._vertex]
        now = frames.index(frame)
        if len(track) > 1:
            past = (np.arange(len(track) - 1) < now)[:, None, None]
            colours = np.where(past, tracking.PAST, tracking.FUTURE).repeat(2, axis=1).astype(np.uint8)
            self._server.scene.add_line_segments(
                "/track/way",
                np.stack([track[:-1], track[1:]], axis=1),
                colours,
                thickness=2.0,
                thickness_units="screen",
            )
        self._show_views(frame, posed, track, now)

    def _show_views(self, frame: int, posed: Posed, track: Float, now: int) -> None:
        assert self._vertex is not None
        tiles = []
        for index, camera in enumerate(self._run.cameras[:MAX_CAMERAS]):
            if camera.to_camera(track)[:, 2].min() > 0:
                hidden = tracking.is_hidden(camera, self._vertex, posed.vertices, self._run.painter.head_faces)
                tiles.append(tracking.track_tile(camera, self._run.image(index, frame), track, now, hidden))
        if not tiles:
            return
        picture = tracking.sheet(tiles)
        if self._sheet is None:
            with self._folder:
                self._sheet = self._server.gui.add_image(picture, label="red: hidden from the camera")
        self._sheet.image = picture

    def _labels(self, vertex: int) -> str:
        head = self._run.painter.head
        return ", ".join(sorted({head.label_names[label] for label in head.label[head.source == vertex]}))

    def _clicked(self, event: Any) -> None:
        self._ray = np.array(event.ray_origin), np.array(event.ray_direction)
        self._want(event)
