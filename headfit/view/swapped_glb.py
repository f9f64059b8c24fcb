"""A GLB that is replaced without a gap."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import viser

#: Seconds that a browser gets to read a file before it is shown. (It shows nothing of a file that it is reading.)
READING = 0.05


class SwappedGlb:
    """Two nodes of the scene: one is shown, and the other one receives what comes next."""

    def __init__(self, server: viser.ViserServer, name: str, content: bytes) -> None:
        self._server = server
        self._nodes = [
            server.scene.add_glb(f"{name}/{index}", content, visible=not index, cast_shadow=False, receive_shadow=False)
            for index in range(2)
        ]
        self._due: float | None = None
        self._visible = True

    @property
    def visible(self) -> bool:
        """Whether it is in the scene. It comes back with the content that was to come next."""
        return self._visible

    @visible.setter
    def visible(self, value: bool) -> None:
        if value == self._visible:
            return
        self._visible = value
        if value and self._due is not None:
            self.settle()
        else:
            self._nodes[0].visible = value

    def show(self, content: bytes) -> None:
        """Replace it; what was to come next before is shown in the meantime."""
        self.settle()
        self._nodes[1].glb_data = content
        self._due = time.monotonic() + READING

    def settle(self) -> None:
        """Wait until the last content is shown."""
        if self._due is None:
            return
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._due = None
        self._nodes.reverse()
        with self._server.atomic():
            self._nodes[0].visible = self._visible
            self._nodes[1].visible = False
