"""The curves of a run, and where on them the time line is."""

from __future__ import annotations

import colorsys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from headfit.export.motion import HeadMotion
from headfit.view import curves
from headfit.view.viewed_run import ViewedRun

if TYPE_CHECKING:
    import viser

#: Height of the plot, pixels; colour of its axes, on the dark page.
HEIGHT, AXES = 260, "#bbbbbb"


class CurvesPanel:
    """A plot of the chosen curves over the frames, and their values in the current frame.

    Args:
        server: the server; the controls are added where its page is being built.
        run: the run.
        want: asks for the page to be drawn.
    """

    def __init__(self, server: viser.ViserServer, run: ViewedRun, want: Callable[[Any], None]) -> None:
        self._gui, self._run = server.gui, run
        motion = HeadMotion.of(run.model)
        self._choice: Any = server.gui.add_dropdown("Curves", curves.choices(motion), initial_value=curves.MOST_ACTIVE)
        self._choice.on_update(want)
        self._values = server.gui.add_markdown("")
        self._folder = server.gui.add_folder("Frames", visible=len(run.frames) > 1)
        self._plot: viser.GuiUplotHandle | None = None
        self._drawn: tuple[str, int] | None = None

    def draw(self, frame: int) -> None:
        """Show the curves and their values in a frame."""
        shown = curves.curves(HeadMotion.of(self._run.model), self._choice.value)
        self._values.content = "  \n".join(f"{name}: **{values[frame]:.2f}**" for name, values in shown.items())
        key = (self._choice.value, self._run.version)
        if key != self._drawn and len(self._run.frames) > 1:
            self._drawn = key
            if self._plot is not None:
                self._plot.remove()
            series: list[Any] = [{"label": "frame"}]
            for index, name in enumerate(shown):
                series.append({"label": name, "stroke": _hue(index / len(shown)), "width": 1.5})
            with self._folder:
                self._plot = self._gui.add_uplot(
                    (np.arange(len(self._run.frames)), *shown.values()),
                    tuple(series),
                    scales={"x": {"time": False, "auto": True}, "y": {"auto": True}},
                    axes=({"stroke": AXES}, {"stroke": AXES}),
                    height=HEIGHT,
                )


def _hue(share: float) -> str:
    red, green, blue = (round(255 * value) for value in colorsys.hsv_to_rgb(share, 0.7, 0.95))
    return f"#{red:02x}{green:02x}{blue:02x}"
