"""What a chart shows, read back from its SVG."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pytest

from headfit.report.charts import MAX_POSITIONS, Axis, Plot, Series, bar_chart, line_chart, number

NAN = float("nan")


def svg(chart: str) -> ET.Element:
    """The chart's SVG; raises where it is not well-formed."""
    found = ET.fromstring(chart).find("svg")
    assert found is not None
    return found


def points(path: ET.Element) -> np.ndarray:
    """The points `[N,2]` of a curve."""
    return np.array(re.findall(r"[ML]([\d.-]+) ([\d.-]+)", path.attrib["d"]), float)


def curves(chart: str) -> list[ET.Element]:
    return [path for path in svg(chart).iter("path") if "line" in path.attrib["class"]]


def test_a_curve_passes_through_its_values():
    values = np.array([0.0, 2.0, 1.0, 4.0])
    plot = Plot("mm", list("abcd"), [Series("run", values)])
    (path,) = curves(line_chart(plot))
    np.testing.assert_allclose(points(path), np.stack([plot.x(np.arange(4.0)), plot.y(values)], 1), atol=0.06)
    assert plot.y(np.array([4.0])) < plot.y(np.array([0.0]))  # larger is higher up


def test_the_peak_of_a_long_take_is_drawn():
    values = np.full(10_000, 1.0)
    values[7_321] = 9.0
    plot = Plot("mm", [str(i) for i in range(10_000)], [Series("run", values)])
    chart = line_chart(plot)
    found = points(curves(chart)[0])
    assert len(found) <= 2 * MAX_POSITIONS
    assert found[:, 1].min() == pytest.approx(plot.y(np.array([9.0]))[0], abs=0.06)
    assert found[found[:, 1].argmin(), 0] == pytest.approx(plot.x(np.array([7_321.0]))[0], abs=0.06)
    assert sum("run: 1 to 9" in (title.text or "") for title in svg(chart).iter("title")) == 1


@pytest.mark.parametrize("values, starts", [([1, NAN, 2, 3], 2), ([1, 2, 3, 4], 1), ([NAN, 2, NAN, 1], 2)])
def test_a_curve_has_a_gap_where_nothing_is_known(values, starts):
    (path,) = curves(line_chart(Plot("", list("abcd"), [Series("run", np.array(values, float))])))
    assert path.attrib["d"].count("M") == starts


def test_a_curve_without_any_value_is_not_drawn():
    assert curves(line_chart(Plot("", ["a", "b"], [Series("run", np.full(2, NAN))]))) == []


def test_tooltips_say_name_and_value_and_are_escaped():
    series = [Series("<one>", np.array([0.25, NAN])), Series("two", np.array([3.0, 4.0]), "b")]
    titles = [title.text for title in svg(line_chart(Plot("", ["f<1>", "f2"], series))).iter("title")]
    assert titles == ["f<1>\n<one>: 0.25\ntwo: 3", "f2\n<one>: -\ntwo: 4"]


def test_bars_are_as_tall_as_their_values_and_stand_side_by_side():
    one, two = Series("one", np.array([1.0, 2.0])), Series("two", np.array([4.0, NAN]), "b")
    bars = [rect.attrib for rect in svg(bar_chart(Plot("", ["cam0", "cam1"], [one, two]))).iter("rect")]
    heights = [float(bar["height"]) for bar in bars]
    assert np.divide(heights, heights[0]) == pytest.approx([1, 2, 4], abs=0.01)
    ends = [
        (float(bar["x"]), float(bar["x"]) + float(bar["width"])) for bar in sorted(bars, key=lambda b: float(b["x"]))
    ]
    assert all(left <= right + 0.11 for (_, left), (right, _) in pairwise(ends))


@pytest.mark.parametrize(
    "values, zero, ends",
    [
        ([0.2, 0.93], True, (0, 1)),
        ([31.2, 33.9], False, (31, 34)),
        ([-3, 12], True, (-5, 15)),
        ([5, 5], False, (5, 5.6)),
    ],
)
def test_an_axis_ends_at_round_numbers_around_all_values(values, zero, ends):
    axis = Axis.over(np.array([*values, NAN]), zero)
    assert (axis.low, axis.high) == pytest.approx(ends)
    assert axis.low <= min(values) and axis.high >= max(values) and 2 <= len(axis.ticks) <= 7


def test_numbers_have_four_digits():
    assert [number(value) for value in (0.0123456, 31.237, NAN)] == ["0.01235", "31.24", "-"]
