"""`headfit report`: one file, with everything in it, of one run or of two."""

import json
import os
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from headfit.cli import main
from headfit.evaluate.health import HEALTH
from headfit.evaluate.report import METRICS
from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.config import RunArgs
from headfit.fitting.run_folder import load_run
from headfit.fitting.summaries import FIGURES
from headfit.head import load
from headfit.report.facts import RunFacts
from headfit.report.views import choose_views
from headfit.synth import synthesize
from tests.support.saved_run import save_run, stages
from tests.support.true_fit import true_fit

pytestmark = pytest.mark.slow

SECTIONS = ["Verdict", "Views", "Labels and distances", "Frames", "Cameras", "Expression and pose", "Texture"]
SECTIONS += ["Training", "Skipped files", "Settings and versions"]


class Page(HTMLParser):
    """Headings, text, references and pictures of a page; fails where a tag is not closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.headings: list[str] = []
        self.references: list[str] = []
        self.text = ""
        self.charts: list[str] = []
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert self._open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attributes}
        self.references += [values[key] for key in ("src", "href") if key in values]
        if tag == "svg":
            self.charts.append(values["aria-label"])
        if tag not in ("meta", "link", "img"):
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._open and self._open[-1] == "h2":
            self.headings.append(data)


@pytest.fixture(scope="module")
def capture(small_head, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("report") / "capture"
    synthesize(out, cameras=3, frames=3, width=60, height=80, seed=1, head=load(small_head))
    return out


@pytest.fixture(scope="module")
def runs(small_head, capture, tmp_path_factory) -> tuple[Path, Path]:
    """Two runs: one with the true parameters, and one whose head lies 4 mm aside in its last frame."""
    folder = tmp_path_factory.mktemp("runs")
    config = replace(stages(translation=0.01), hold_out=["cam01"], head=str(small_head))
    model = true_fit(config, RunArgs(capture=str(capture))).model
    good = save_run(model, RunArgs(capture=str(capture), out=str(folder / "good")))
    with torch.no_grad():
        model.geometry.translation[2, 0] += 0.004
    model.config = replace(config, seed=7)
    return good, save_run(model, RunArgs(capture=str(capture), out=str(folder / "off <b>")))


@pytest.fixture(scope="module")
def page(runs, tmp_path_factory) -> Page:
    out = tmp_path_factory.mktemp("page") / "new" / "report.html"
    assert main(["report", str(runs[0]), "--out", str(out)]) == 0
    return Page(out)


@pytest.fixture(scope="module")
def both(runs, tmp_path_factory) -> Page:
    out = tmp_path_factory.mktemp("both") / "report.html"
    assert main(["report", str(runs[0]), "--compare", str(runs[1]), "--out", str(out)]) == 0
    return Page(out)


def test_it_needs_no_other_file(page):
    assert page.headings == SECTIONS
    assert {reference.partition(":")[0] for reference in page.references if reference[0] != "#"} == {"data"}


def test_chromium_draws_it_offline_without_a_message(both):
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs a browser's driver: pip install playwright")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("needs a browser: apt-get install chromium")
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_context(offline=True).new_page()
        messages: list[str] = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(both.path.as_uri())
        widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
        curve = page.locator(".line.b").first.bounding_box()
        browser.close()
    assert messages == [] and len(widths) > 8 and min(widths) > 0
    assert curve["width"] > 100 and curve["height"] > 0


def test_it_says_what_the_run_folder_says(page, runs):
    scores = json.loads((runs[0] / "metrics.json").read_text())
    held_out = scores["pictures"]["held_out"]
    assert json.loads((runs[0] / HEALTH).read_text())["verdict"] in page.text
    for number in (f"{held_out['psnr_db']:.2f} dB", f"{held_out['ssim']:.4f}", f"{scores['iou']['teeth']:.4f}"):
        assert number in page.text
    assert f"{scores['distances']['all']['median_mm']:.3f} mm" in page.text
    assert "cam01 (held out)" in page.text and "seed: 0" in page.text and "Every file of the capture" in page.text


def test_tensorboard_has_the_scores_by_which_runs_compare(page, runs):
    scores = json.loads((runs[0] / "metrics.json").read_text())
    events = EventAccumulator(str(runs[0] / "tensorboard"))
    events.Reload()
    for kind in ("held_out", "training"):
        (event,) = events.Scalars(f"score/{kind}/psnr_db")
        assert event.value == pytest.approx(scores["pictures"][kind]["psnr_db"])
    assert events.Scalars("score/distance/p95_mm")[0].value == pytest.approx(scores["distances"]["all"]["p95_mm"])
    assert set(events.Tags()["scalars"]) - {"loss/shape/mask"} <= set(FIGURES)


def test_it_has_the_curves_and_the_pictures(page, runs):
    assert {"wrong labels, share of the head", "distance to the true surface, median, mm", "mask"} <= set(page.charts)
    assert {"SSIM", "correction of the calibration, px over the head"} <= set(page.charts)
    assert any(title.startswith("jaw") for title in page.charts)
    views = choose_views(RunFacts.read(load_run(runs[0]), "good", is_compared=False))
    pictures = [reference for reference in page.references if reference.startswith("data:image/jpeg;base64,")]
    assert len(pictures) == 4 * len(views) + 1  # and the texture


def test_two_runs_are_laid_side_by_side(both):
    assert both.headings == SECTIONS
    assert "off <b>: picture" in both.text and "good: picture" in both.text
    settings = both.text[both.text.index("settings that differ") :]
    assert re.match(r"settings that differgoodoff <b>seed07(?!\d)", settings)


def test_the_worst_view_is_where_the_head_is_off(both, runs):
    facts = RunFacts.read(load_run(runs[1]), "off", is_compared=False)
    views = choose_views(facts)
    assert views[0].frame == "000002" and views[0].why.startswith("wrong labels 0.") and "highest" in views[0].why
    assert len({(view.frame, view.camera) for view in views}) == len(views)
    assert facts.by_frame("wrong_labels", max, facts.frames).argmax() == 2


def test_scores_from_before_the_last_checkpoint_are_known_to_be_old(both, runs):
    metrics = runs[1] / METRICS
    for age, is_old in ((0, False), (3600 * 10**9, True)):
        time = (runs[1] / CHECKPOINT).stat().st_mtime_ns - age
        os.utime(metrics, ns=(time, time))
        assert RunFacts.read(load_run(runs[1]), "off", is_compared=False).has_old_scores == is_old


def test_a_capture_that_is_gone_is_named(runs, tmp_path, capsys):
    run = load_run(runs[0])
    gone = save_run(run.model, RunArgs(capture=str(tmp_path / "gone"), out=str(tmp_path / "run")))
    assert main(["report", str(gone), "--out", str(tmp_path / "report.html")]) == 2
    error = capsys.readouterr().err
    assert "gone" in error and "--capture" in error and error.count("\n") == 1
