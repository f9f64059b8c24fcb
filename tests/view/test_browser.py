"""The page in a real browser: Debian's Chromium, driven by Playwright, drawing in software."""

import io
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headfit.view.played import BACKGROUND, drawn, window_camera
from headfit.view.serve import open_page

pytest.importorskip("viser", reason="the page needs viser: pip install 'headfit[view]'")
playwright = pytest.importorskip("playwright.sync_api", reason="needs Playwright: pip install playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium"),
]
FLAGS = [
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
#: Milliseconds that a step may take: software rendering on a busy machine is slow.
PATIENCE = 240_000


class Browser:
    """A page of the browser, and what it complained of."""

    def __init__(self, tab, complaints: list[str]) -> None:
        self.tab, self.complaints = tab, complaints

    def scene(self) -> np.ndarray:
        """The left half of what is shown, where no controls are, `[H,W,3]`."""
        picture = np.asarray(Image.open(io.BytesIO(self.tab.screenshot())).convert("RGB"))
        return picture[:, : picture.shape[1] // 2].astype(int)

    def until(self, fulfilled) -> np.ndarray:
        """What is shown once a condition on it holds."""
        for _ in range(PATIENCE // 500):
            if fulfilled(shown := self.scene()):
                return shown
            self.tab.wait_for_timeout(500)
        raise AssertionError("the page does not show it")

    def click(self, button: str) -> None:
        """Click on a button of the panel. By script: a click would wait for the page's rest."""
        self.tab.get_by_role("button", name=button).first.evaluate("e => e.click()")

    def scenes_drawn_in(self, milliseconds: int) -> int:
        """How often the browser draws the scene in that time."""
        count = "() => window.__viserTestpoints.rendererInfo.render.frame"
        before = self.tab.evaluate(count)
        self.tab.wait_for_timeout(milliseconds)
        return self.tab.evaluate(count) - before

    def choose(self, current: str, value: str) -> None:
        """Choose another value in the list that shows `current`, by script."""
        lists = self.tab.locator("input[role=combobox]").all()
        (chosen,) = [each for each in lists if each.input_value() == current]
        chosen.evaluate("e => { e.focus(); e.click() }")
        self.tab.get_by_role("option", name=value, exact=True).evaluate("e => e.click()")


@pytest.fixture
def page(run_folder: Path):
    page = open_page(run_folder, None, "127.0.0.1", 18070)
    stop = threading.Event()
    thread = threading.Thread(target=page.run, args=(stop,))
    thread.start()
    yield page
    stop.set()
    thread.join()
    page.server.stop()


@pytest.fixture
def browser(page):
    with playwright.sync_playwright() as engine:
        chromium = engine.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        tab = chromium.new_page(viewport={"width": 640, "height": 480})
        tab.set_default_timeout(PATIENCE)
        complaints: list[str] = []
        tab.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.goto(page.address)
        tab.get_by_role("button", name="Play").wait_for()
        yield Browser(tab, complaints)
        chromium.close()


def is_head(shown: np.ndarray) -> bool:
    """Whether a good part of what is shown is brighter than the dark background."""
    return (shown.max(axis=-1) > 60).mean() > 0.08


def test_it_draws_scrubs_plays_and_switches_colours(page, browser) -> None:
    first = browser.until(is_head)
    browser.choose("texture", "labels")
    browser.until(lambda shown: is_head(shown) and np.abs(shown - first).mean() > 4)

    frame = browser.tab.locator("input[inputmode=numeric], input[inputmode=decimal]").first
    frame.evaluate("e => e.focus()")
    browser.tab.keyboard.press("ArrowUp")
    browser.tab.wait_for_function("() => [...document.querySelectorAll('input')].some(e => e.value == '000001')")
    assert page._timeline.frame == 1

    page._with_frusta.value = False
    browser.click("Play")
    browser.tab.get_by_role("button", name="Pause").wait_for()
    assert page._timeline.is_playing
    browser.until(lambda shown: not page._head.visible and looks_like_the_picture(page, shown))
    browser.click("Minimize panel")
    browser.tab.get_by_role("button", name="Pause").wait_for(state="hidden")
    browser.until(lambda shown: looks_like_the_picture(page, shown))
    assert browser.scenes_drawn_in(3000) < 8  # the page draws one a second without being asked
    browser.click("Expand panel")
    browser.click("Pause")
    browser.until(lambda shown: is_head(shown) and page._head.visible)
    page.want()  # the picture goes
    browser.until(lambda shown: looks_like_the_picture(page, shown))
    assert browser.complaints == []


def looks_like_the_picture(page, mesh: np.ndarray) -> bool:
    """Whether the mesh, as the browser draws it, has the place and the colours of the picture of the same frame."""
    (client,) = page.server.get_clients().values()
    surfaces = page._run.painter.paint(page._run.painter.pose(page._timeline.frame), "labels")
    picture = drawn(surfaces, window_camera(client.camera))
    free = slice(200, None), slice(300)  # of the controls, and of the warning that the browser draws in software
    mesh, picture, is_head = mesh[free], picture[free], (picture[free] != BACKGROUND).any(axis=-1)
    covered = mesh.max(axis=-1) > 30
    assert is_head.mean() > 0.08
    return (covered != is_head).mean() < 0.02 and np.abs(mesh - picture)[covered & is_head].mean() < 3
