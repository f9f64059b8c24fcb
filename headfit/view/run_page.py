"""The page of a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from headfit.errors import HeadfitError
from headfit.sampling import evenly_spaced
from headfit.view.curves_panel import CurvesPanel
from headfit.view.frusta import Frusta
from headfit.view.glb import glb
from headfit.view.page import Page
from headfit.view.painter import BRIGHTEST, HAIR, MODES, Posed
from headfit.view.picture_error import vertex_error
from headfit.view.played import PlayedHead, one_thread
from headfit.view.swapped_glb import SwappedGlb
from headfit.view.through_panel import ThroughPanel
from headfit.view.timeline import Timeline
from headfit.view.track_panel import TrackPanel
from headfit.view.true_distance import true_distance
from headfit.view.viewed_run import ViewedRun

if TYPE_CHECKING:
    import viser

    from headfit.view.colours import Colours

#: How far from the head the page looks at first, metres.
DISTANCE = 0.75
WIREFRAME_COLOUR = (20, 20, 24)
#: Most cameras whose pictures are compared for the mode "error".
MAX_CAMERAS = 12


class RunPage(Page):
    """A fitted head over time, and the cameras around it."""

    def __init__(self, server: viser.ViserServer, run: ViewedRun) -> None:
        self._run = run
        posed = run.painter.pose(0)
        super().__init__(server, run.cameras, posed.vertices.mean(axis=0).astype(float), DISTANCE)
        self._head = SwappedGlb(server, "/head", glb(run.painter.paint(posed, "texture")))
        self._played = PlayedHead(server)
        self._wires: viser.MeshHandle | None = None
        self._frusta = Frusta(server, run.cameras)
        self._pictures: list[int | None] = [None] * len(run.cameras)  # the frame of each camera's picture
        self._error: tuple[tuple[str, int, int], Colours] | None = None
        gui = server.gui
        self._status = gui.add_markdown("")
        self._timeline = Timeline(gui, run.frames, run.model.capture.fps, self.want)
        tabs = gui.add_tab_group()
        with tabs.add_tab("Head"):
            modes = [mode for mode in MODES if mode != "distance" or run.truth is not None]
            self._mode: Any = gui.add_dropdown("Colour", modes, initial_value="texture")
            self._wireframe: Any = gui.add_checkbox("wireframe", False)
            self._parts: dict[str, Any] = {
                name: gui.add_checkbox(name, True) for name in dict.fromkeys((*run.painter.head.groups, HAIR))
            }
        with tabs.add_tab("Cameras"):
            self._with_frusta: Any = gui.add_checkbox("frusta", True)
            self._through = ThroughPanel(server, run, self.want)
        with tabs.add_tab("Track"):
            self._track = TrackPanel(server, run, self.want)
        with tabs.add_tab("Curves"):
            self._curves = CurvesPanel(server, run, self.want)
        for control in (self._mode, self._wireframe, self._with_frusta, *self._parts.values()):
            control.on_update(self.want)

    def pause(self) -> float | None:
        return self._timeline.pause()

    def has_news(self) -> bool:
        return self._run.refresh()

    @one_thread()
    def draw(self) -> None:
        self._timeline.advance()
        frame, through = self._timeline.frame, self._through.camera is not None
        as_picture = self._timeline.is_playing and not through and not self._wireframe.value
        posed = self._run.painter.pose(frame)
        hidden = frozenset(name for name, shown in self._parts.items() if not shown.value)
        self._frusta.visible = self._with_frusta.value and not through
        self._track.draw(posed, in_scene=not as_picture)
        if not through:
            surfaces = self._run.painter.paint(posed, self._mode.value, hidden, self._measured)
            if as_picture:
                self._played.show([*surfaces, *self._track.marker(posed)])
            else:
                self._head.show(glb(surfaces))
        if as_picture:
            self._head.visible = False
        elif through or self._head.visible:
            self._head.visible = not through
            self._played.remove()
        else:
            self._head.visible = True  # in front of the picture of the same frame, which it replaces
            self._played.leave()
        self._draw_wires(posed, hidden)
        self._through.draw(frame, posed, compute=self._timeline.is_playing)

    def draw_at_rest(self) -> None:
        self._head.settle()
        run, frame = self._run, self._timeline.frame
        fitted = "" if run.is_fitted(frame) else " (this frame is not fitted yet)"
        self._status.content = f"**{run.path.name}**{fitted}{self._median_distance()}"
        posed = run.painter.pose(frame)
        self._through.draw(frame, posed, compute=True)
        self._curves.draw(frame)
        self._track.draw_at_rest(frame, posed, lambda: self.is_outdated)
        if self._mode.value in BRIGHTEST and self._measured is None:
            self._measure(frame, posed)
        for camera in range(len(run.cameras)) if self._frusta.visible else ():
            if self.is_outdated:
                return
            if self._pictures[camera] != frame:
                self._frusta.show_picture(camera, run.image(camera, frame))
                self._pictures[camera] = frame

    @property
    def _moment(self) -> tuple[str, int, int]:
        """The mode, the frame and the checkpoint that are shown."""
        return self._mode.value, self._timeline.frame, self._run.version

    @property
    def _measured(self) -> Colours | None:
        """The errors or distances `[V]` of what is shown; None if they are not measured yet."""
        return None if self._error is None or self._error[0] != self._moment else self._error[1]

    def _measure(self, frame: int, posed: Posed) -> None:
        """Compare the frame with its pictures or its true mesh and have the head drawn in these colours; not if
        something else is wanted in the meantime."""
        run, moment = self._run, self._moment
        if moment[0] == "distance":
            assert run.truth is not None
            try:
                measured = true_distance(run.model, run.truth, frame, posed)
            except HeadfitError as error:  # a damaged file
                print(f"headfit: {error}", file=sys.stderr)
                measured = np.full(len(posed.vertices), np.nan, np.float32)
        else:
            chosen = evenly_spaced(len(run.cameras), MAX_CAMERAS)
            views = [(run.cameras[camera], run.image(int(camera), frame)) for camera in chosen]
            if self.is_outdated:
                return
            measured = vertex_error(run.model, frame, posed, views)
        self._error = moment, measured
        self.want()

    def _median_distance(self) -> str:
        """The median of the distances that are shown, as text; empty without."""
        if self._mode.value != "distance" or self._measured is None:
            return ""
        if np.isnan(self._measured).all():
            return ": no true mesh of this frame"
        return f": {1e3 * np.nanmedian(self._measured):.2f} mm to the true surface (median of the vertices)"

    def _draw_wires(self, posed: Posed, hidden: frozenset[str]) -> None:
        """The edges of the head's triangles."""
        if not self._wireframe.value:
            if self._wires is not None:
                self._wires.visible = False
            return
        faces = self._run.painter.head.source[self._run.painter.head.shown_faces(hidden)].astype("uint32")
        if self._wires is None:
            self._wires = self.server.scene.add_mesh_simple(
                "/wireframe", posed.vertices, faces, color=WIREFRAME_COLOUR, wireframe=True, side="double"
            )
        self._wires.vertices, self._wires.faces, self._wires.visible = posed.vertices, faces, True
