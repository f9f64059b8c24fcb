"""A fit to some frames and cameras knows no others, and is scored on them only."""

from dataclasses import replace

import pytest

from headfit.capture import open_capture
from headfit.commands.command import capture_of
from headfit.evaluate.health import examine
from headfit.fitting.run import fit
from headfit.fitting.run_folder import load_run


@pytest.mark.slow
def test_a_fit_to_a_part_of_a_capture(config, args) -> None:
    config.stages = {"rigid": config.stages["rigid"]}
    fit(config, replace(args, frames="1:", cameras="cam02,cam00"))
    run = load_run(args.out)
    whole = open_capture(args.capture)
    assert run.model.capture.frames == whole.frames[1:]
    assert [camera.id for camera in run.model.capture.cameras] == ["cam02", "cam00"]
    capture = capture_of(run, None)
    assert (capture.frames, len(capture.cameras)) == (whole.frames[1:], 2)
    assert examine(run, capture)[0].views == 2
