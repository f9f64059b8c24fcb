"""The page of a capture: what its cameras see, and whether they agree, before anything is fitted."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from headfit.capture import CaptureSource
from headfit.capture.consistency import Findings, compare_evidence
from headfit.capture.rig import describe_rig
from headfit.capture.source import read_or_none
from headfit.capture.world import WorldFrame
from headfit.view import evidence
from headfit.view.frusta import Frusta
from headfit.view.page import Page
from headfit.view.timeline import Timeline

if TYPE_CHECKING:
    import viser

ALL = "(all)"
#: How far from the head the page looks at first, in distances of the farthest camera: the whole rig is seen.
RIGS = 4.0


class CapturePage(Page):
    """Cameras, rays through what they see, and the points that these give."""

    def __init__(self, server: viser.ViserServer, capture: CaptureSource) -> None:
        self._capture = capture
        self._world = WorldFrame.around(capture.cameras)
        self._cameras = [self._world.local_camera(camera) for camera in capture.cameras]
        centre = describe_rig(self._cameras).look_at
        if not np.isfinite(centre).all():
            centre = self._cameras[0].centre + 0.8 * self._cameras[0].direction
        reach = max(float(np.linalg.norm(camera.centre - centre)) for camera in self._cameras)
        super().__init__(server, self._cameras, centre, RIGS * reach)
        self._findings: Findings | None = None
        gui = server.gui
        self._timeline = Timeline(gui, capture.frames, capture.fps, self.want)
        tabs = gui.add_tab_group()
        with tabs.add_tab("Checks"):
            self._verdict = gui.add_markdown("comparing the views ...")
            self._table = gui.add_markdown("")
        with tabs.add_tab("Cameras"):
            self._with_frusta: Any = gui.add_checkbox("frusta", True)
            self._with_rays: Any = gui.add_checkbox("rays", True)
            ids = [camera.id for camera in self._cameras]
            self._camera: Any = gui.add_dropdown("Camera", [ALL, *ids], initial_value=ALL)
            self._folder = gui.add_folder("Picture", visible=False)
        self._picture: viser.GuiImageHandle | None = None
        self._frusta = Frusta(server, self._cameras)
        for control in (self._with_frusta, self._with_rays, self._camera):
            control.on_update(self.want)

    def pause(self) -> float | None:
        return self._timeline.pause()

    def draw(self) -> None:
        self._timeline.advance()
        self._frusta.visible = self._with_frusta.value

    def draw_at_rest(self) -> None:
        frame = self._timeline.frame
        found = self._gather(frame)
        self._draw_points(found)
        for camera in range(len(self._cameras)) if self._frusta.visible else ():
            if self.is_outdated:
                return
            self._frusta.show_picture(camera, read_or_none(self._capture.image, camera, frame))
        if self._findings is None:
            self._findings = compare_evidence(self._capture)
            said = [f"- **{text}**" for text in self._findings.errors] + [f"- {t}" for t in self._findings.warnings]
            self._verdict.content = "\n".join([*(said or ["The views agree."]), *self._findings.lines[:1]])

    def _gather(self, frame: int) -> evidence.Evidence | None:
        found = evidence.gather(self._capture, frame)
        if found is None:
            self._table.content = "No two cameras see something that can be compared in this frame."
            return None
        self._table.content = f"{found.seen.kind}, frame {self._capture.frames[frame]}\n\n" + evidence.table(
            self._cameras, found
        )
        self._frusta.mark(found.suspects)
        return replace(found, points=self._world.to_local(found.points))

    def _draw_points(self, found: evidence.Evidence | None) -> None:
        scene, chosen = self.server.scene, self._chosen
        self._folder.visible = chosen is not None
        scene.remove_by_name("/evidence")
        if found is None:
            return
        known = np.isfinite(found.points).all(axis=1)
        colours = evidence.traffic_light(found.spread, found.limit)
        scene.add_point_cloud(
            "/evidence/points", found.points[known], colours[known], point_size=0.002, point_shape="circle"
        )
        ends, residuals = evidence.rays(self._cameras, found, chosen)
        if self._with_rays.value and len(ends):
            shades = evidence.traffic_light(residuals, found.limit)[:, None].repeat(2, axis=1)
            scene.add_line_segments("/evidence/rays", ends, shades, thickness=1.0, thickness_units="screen")
        if chosen is not None:
            self._draw_picture(found, chosen)

    def _draw_picture(self, found: evidence.Evidence, camera: int) -> None:
        picture = read_or_none(self._capture.image, camera, self._timeline.frame)
        if picture is None:
            self._folder.visible = False
            return
        marked = evidence.marked_picture(picture, self._cameras[camera], found, camera)
        if self._picture is None:
            with self._folder:
                self._picture = self.server.gui.add_image(marked, label="green: seen here; red: by the other cameras")
        self._picture.image = marked

    @property
    def _chosen(self) -> int | None:
        return None if self._camera.value == ALL else [c.id for c in self._cameras].index(self._camera.value)
