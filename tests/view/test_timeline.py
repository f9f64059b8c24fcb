import time
from types import SimpleNamespace

import pytest

from headfit.view.timeline import Timeline, frame_at


class Control(SimpleNamespace):
    """A control of the page that somebody may use."""

    def on_update(self, callback):
        self.used = callback

    on_click = on_update


class Gui:
    def __init__(self):
        self.controls = {}

    def _add(self, name, value):
        self.controls[name] = Control(value=value, label=name)
        return self.controls[name]

    def add_slider(self, name, low, high, step, value, disabled=False):
        assert low <= value <= high
        return self._add(name, value)

    def add_text(self, name, value, disabled):
        return self._add(name, value)

    def add_button(self, name, disabled):
        return self._add(name, False)


@pytest.fixture
def page():
    gui, changes = Gui(), []
    return SimpleNamespace(timeline=Timeline(gui, ["a", "b", "c"], 12.0, changes.append), changes=changes, **vars(gui))


BY_HAND, BY_THE_PAGE = SimpleNamespace(client=object()), SimpleNamespace(client=None)


def test_playing_loops():
    assert [frame_at(1, seconds, 10.0, 3) for seconds in (0.0, 0.09, 0.11, 0.21, 0.35)] == [1, 1, 2, 0, 1]


def test_scrubbing_shows_the_name_and_asks_to_draw(page):
    page.controls["Frame"].value = 2
    page.controls["Frame"].used(BY_HAND)
    page.timeline.advance()
    assert page.controls["Name"].value == "c" and len(page.changes) == 1


def test_what_the_page_does_itself_is_no_wish(page):
    page.controls["Frame"].used(BY_THE_PAGE)
    assert page.changes == []


def test_playing_goes_on_from_where_it_is_scrubbed_to(page, monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    assert page.timeline.pause() is None
    page.controls["Play"].used(BY_HAND)
    assert page.controls["Play"].label == "Pause" and page.timeline.pause() == pytest.approx(1 / 12)
    now += 0.9 / 12
    assert page.timeline.pause() == pytest.approx(0.1 / 12)
    now += 0.2 / 12
    page.timeline.advance()
    assert page.timeline.frame == 1 and page.controls["Name"].value == ""
    page.controls["Frame"].value = 0
    page.controls["Frame"].used(BY_HAND)
    now += 0.5 / 12
    page.timeline.advance()
    assert page.timeline.frame == 0
    page.controls["Play"].used(BY_HAND)
    assert page.timeline.pause() is None and page.controls["Play"].label == "Play"
    page.timeline.advance()
    assert page.controls["Name"].value == "a"


def test_a_frame_that_is_late_is_drawn_at_once_and_the_next_one_when_it_is_due(page, monkeypatch):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    page.controls["Play"].used(BY_HAND)
    for ticks, pause in ((1.2, 0.8), (2.3, 0.7), (5.0 + 1e-6, 1.0)):
        now = 100 + ticks / 12
        assert page.timeline.pause() == 0
        page.timeline.advance()
        assert page.timeline.pause() == pytest.approx(pause / 12, abs=1e-6)


def test_a_capture_of_one_frame_has_a_time_line():
    timeline = Timeline(Gui(), ["only"], 0.0, lambda event: None)
    assert timeline.frame == 0 and not timeline.is_playing
