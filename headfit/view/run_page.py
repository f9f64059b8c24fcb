"""The page of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headfit.view.frusta import Frusta
from headfit.view.glb import glb
from headfit.view.page import Page
from headfit.view.painter import HAIR, MODES, Posed
from headfit.view.swapped_glb import SwappedGlb
from headfit.view.timeline import Timeline
from headfit.view.viewed_run import ViewedRun

if TYPE_CHECKING:
    import viser

WIREFRAME_COLOUR = (20, 20, 24)


class RunPage(Page):
    """A fitted head over time, and the cameras around it."""

    def __init__(self, server: viser.ViserServer, run: ViewedRun) -> None:
        self.run_shown = run
        posed = run.painter.pose(0)
        super().__init__(server, run.cameras, posed.vertices.mean(axis=0).astype(float))
        self._head = SwappedGlb(server, "/head", glb(run.painter.paint(posed, "texture")))
        self._wires: viser.MeshHandle | None = None
        self._frusta = Frusta(server, run.cameras)
        self._drawn: tuple[object, ...] | None = None
        gui = server.gui
        self._status = gui.add_markdown("")
        self.timeline = Timeline(gui, run.frames, run.model.capture.fps, self.want)
        tabs = gui.add_tab_group()
        with tabs.add_tab("Head"):
            self._mode = gui.add_dropdown("Colour", MODES, initial_value="texture")
            self._wireframe = gui.add_checkbox("wireframe", False)
            self._parts = {name: gui.add_checkbox(name, True) for name in (*run.painter.head.groups, HAIR)}
        with tabs.add_tab("Cameras"):
            self._with_frusta = gui.add_checkbox("frusta", True)
        controls: list[Any] = [self._mode, self._wireframe, self._with_frusta, *self._parts.values()]
        for control in controls:
            control.on_update(self.want)

    def pause(self) -> float | None:
        return self.timeline.pause()

    def has_news(self) -> bool:
        return self.run_shown.refresh()

    def draw(self) -> None:
        self.timeline.advance()
        frame = self.timeline.frame
        hidden = frozenset(name for name, shown in self._parts.items() if not shown.value)
        posed = self.run_shown.painter.pose(frame)
        self._head.show(glb(self.run_shown.painter.paint(posed, self._mode.value, hidden)))
        self._draw_wires(posed, hidden)

    def _draw_wires(self, posed: Posed, hidden: frozenset[str]) -> None:
        """The edges of the head's triangles."""
        if not self._wireframe.value:
            if self._wires is not None:
                self._wires.visible = False
            return
        surface = self.run_shown.painter.head
        faces = surface.source[surface.shown_faces(hidden)]
        if self._wires is None:
            self._wires = self.server.scene.add_mesh_simple(
                "/wireframe", posed.vertices, faces, color=WIREFRAME_COLOUR, wireframe=True, side="double"
            )
        self._wires.vertices, self._wires.faces, self._wires.visible = posed.vertices, faces.astype("uint32"), True

    def draw_at_rest(self) -> None:
        self._head.settle()
        run, frame = self.run_shown, self.timeline.frame
        fitted = "" if run.is_fitted(frame) else " (this frame is not fitted yet)"
        self._status.content = f"**{run.path.name}**{fitted}"
        self._frusta.visible = self._with_frusta.value
        for camera in range(len(run.cameras)) if self._frusta.visible else ():
            if self.is_outdated:
                return
            self._frusta.show_picture(camera, run.image(camera, frame))
