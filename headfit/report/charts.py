"""Charts as inline SVG: curves over frames or steps, bars per camera. They need no script; tooltips are `<title>`s."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from headfit.types import Float, Int

#: Positions along a curve that are told apart; of a longer one each position shows the lowest and highest value of
#: several frames, so that no peak is lost.
MAX_POSITIONS = 300
#: Space (SVG units) for the numbers of the vertical axis, and below for the names along the horizontal one.
LEFT, BOTTOM, TOP = 54, 18, 6
#: Number of lines across the chart, about.
TICKS = 4


@dataclass(frozen=True)
class Series:
    """A curve: its name, a value for each position (NaN: none, a gap), and the class of its style in the page."""

    name: str
    values: Float
    style: str = "a"


@dataclass(frozen=True)
class Axis:
    """The vertical axis from `low` to `high`, with lines at `ticks`."""

    low: float
    high: float
    ticks: list[float]

    @staticmethod
    def over(values: Float, from_zero: bool) -> Axis:
        """The axis that holds all finite `values`, its ends at round numbers."""
        known = values[np.isfinite(values)]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        low = min(low, 0.0) if from_zero else low
        if high <= low:
            high = low + (0.1 * abs(low) or 1.0)
        step = round_step((high - low) / TICKS)
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        ticks = [step * i for i in range(first, last + 1)]
        return Axis(ticks[0], ticks[-1], ticks)

    def share(self, values: Float) -> Float:
        """Where values lie between the ends, from 0 to 1."""
        return (values - self.low) / (self.high - self.low)


def round_step(size: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten that is at least `size`."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= size * (1 - 1e-9))


def number(value: float) -> str:
    """A value as text of four significant digits, "-" where there is none."""
    return f"{value:.4g}" if math.isfinite(value) else "-"


class Plot:
    """The area of a chart: where positions and values are drawn.

    Args:
        title: what the values are, with their unit.
        names: the name of each position along the horizontal axis.
        series: one value per name each; at least one series.
        size: width and height in SVG units, pixels unless the page scales it.
        zero: whether the vertical axis begins at zero.
    """

    def __init__(
        self,
        title: str,
        names: Sequence[str],
        series: Sequence[Series],
        size: tuple[int, int] = (640, 170),
        zero: bool = True,
    ) -> None:
        self.title = title
        self.names = names
        self.series = series
        self.width, self.height = size
        self.axis = Axis.over(np.concatenate([s.values for s in series]), zero)

    def y(self, values: Float) -> Float:
        """Heights at which values are drawn."""
        return TOP + (1 - self.axis.share(values)) * (self.height - TOP - BOTTOM)

    def x(self, positions: Float) -> Float:
        """Where along the axis positions are drawn: each in the middle of its slot."""
        return LEFT + (positions + 0.5) * (self.width - LEFT) / max(len(self.names), 1)

    def figure(self, marks: Sequence[str]) -> str:
        """The whole chart around its `marks`: title, legend, axes."""
        legend = [f'<span class="key {s.style}">{escape(s.name)}</span>' for s in self.series]
        caption = f"{escape(self.title)} {' '.join(legend) if len(legend) > 1 else ''}"
        svg = f'<svg viewBox="0 0 {self.width} {self.height}" role="img" aria-label="{escape(self.title)}">'
        content = "".join([*self._grid(), *marks])
        size = f"flex: 1 1 {0.65 * self.width:.0f}px; max-width: {1.1 * self.width:.0f}px"
        return f'<figure style="{size}"><figcaption>{caption}</figcaption>{svg}{content}</svg></figure>'

    def _grid(self) -> list[str]:
        ticks = zip(self.axis.ticks, self.y(np.array(self.axis.ticks)), strict=True)
        lines = [
            f'<path class="grid" d="M{LEFT} {y:.1f}H{self.width}"/>'
            f'<text class="tick" x="{LEFT - 6}" y="{y + 3:.1f}">{number(tick)}</text>'
            for tick, y in ticks
        ]
        below = self.height - 4
        if self.names:
            lines.append(f'<text x="{LEFT}" y="{below}">{escape(self.names[0])}</text>')
        if len(self.names) > 1:
            lines.append(f'<text class="last" x="{self.width}" y="{below}">{escape(self.names[-1])}</text>')
        return lines


def line_chart(plot: Plot) -> str:
    """Curves over many positions, such as frames or steps."""
    groups = np.array_split(np.arange(len(plot.names)), max(1, min(len(plot.names), MAX_POSITIONS)))
    curves = [
        f'<path class="line {series.style}" d="{path}"/>'
        for series in plot.series
        if (path := _path(plot, series.values, groups))
    ]
    return plot.figure([*curves, *(_tooltip(plot, group) for group in groups if len(group))])


def bar_chart(plot: Plot) -> str:
    """Bars at a few named positions, such as cameras; those of several series side by side."""
    base = float(plot.y(np.clip(np.zeros(1), plot.axis.low, plot.axis.high))[0])
    slot = (plot.width - LEFT) / max(len(plot.names), 1)
    wide = 0.8 * slot / len(plot.series)
    bars = []
    for index, series in enumerate(plot.series):
        left = plot.x(np.arange(float(len(plot.names)))) - 0.4 * slot + index * wide
        for name, value, x, y in zip(plot.names, series.values, left, plot.y(series.values), strict=True):
            if math.isfinite(value):
                text = escape(f"{name}: {series.name} {number(value)}")
                bars.append(
                    f'<rect class="bar {series.style}" x="{x:.1f}" y="{min(y, base):.1f}" width="{wide:.1f}" '
                    f'height="{max(abs(base - y), 1):.1f}"><title>{text}</title></rect>'
                )
    return plot.figure(bars)


def _path(plot: Plot, values: Float, groups: Sequence[Int]) -> str:
    """The `d` of a curve: through every value, or the lowest and highest of each group in their order."""
    shown: list[int] = []
    for group in groups:
        known = group[np.isfinite(values[group])]
        shown += sorted({int(known[values[known].argmin()]), int(known[values[known].argmax()])}) if len(known) else []
    reach = 2 * max((len(group) for group in groups), default=1) - 1  # of two values in neighbouring groups
    points = zip(plot.x(np.array(shown, float)), plot.y(values[np.array(shown, int)]), shown, strict=True)
    words, last = list[str](), -reach - 1
    for x, y, position in points:
        joined = position - last <= reach
        words.append(f"{'L' if joined else 'M'}{x:.1f} {y:.1f}")
        if not joined:
            words.append("h.1")  # so that a value between two gaps is a dot
        last = position
    return "".join(words)


def _tooltip(plot: Plot, group: Int) -> str:
    """An invisible rectangle that says the names and values of a group of positions."""
    first, last = int(group[0]), int(group[-1])
    where = plot.names[first] if first == last else f"{plot.names[first]} to {plot.names[last]}"
    lines = [where, *(f"{series.name}: {_range(series.values[group])}" for series in plot.series)]
    x, right = plot.x(np.array([first - 0.5, last + 0.5]))
    text = escape("\n".join(lines))
    return f'<rect class="tip" x="{x:.1f}" width="{right - x:.1f}" height="{plot.height}"><title>{text}</title></rect>'


def _range(values: Float) -> str:
    """The finite values as text: one number, or the lowest and the highest."""
    known = values[np.isfinite(values)]
    ends = dict.fromkeys(number(float(end)) for end in ((known.min(), known.max()) if known.size else ()))
    return " to ".join(ends) or "-"
