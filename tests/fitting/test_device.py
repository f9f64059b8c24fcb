"""A whole fit on a pretended GPU: no tensor stays behind on the CPU, no step waits, and the numbers equal the CPU's.

They do bit for bit, where the CPU computes as a GPU does: so that nothing waits, that renders whole pictures, shades
all of their pixels, and smooths offsets by a dense matrix. Another test compares it with what the CPU does otherwise.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import pytorch_lightning as pl
import scipy.sparse
import torch

from headfit.capture import open_capture
from headfit.capture.framing import framings_at
from headfit.capture.summary import CaptureSummary
from headfit.evaluate.health import examine
from headfit.export import export_meshes, render_pictures
from headfit.fitting.checkpoints import CHECKPOINT
from headfit.fitting.config import RunArgs
from headfit.fitting.groups import entry_of
from headfit.fitting.initialise_pose import initialise_pose
from headfit.fitting.model import FittedHead
from headfit.fitting.pictures import view_rows
from headfit.fitting.rows import dense
from headfit.fitting.run import build, fit
from headfit.fitting.run_folder import Run, load_run
from headfit.fitting.settings import load_config
from headfit.fitting.smooth_offsets import block_of_inverse
from headfit.fitting.warm_start import inherit_settings, load_person
from headfit.head import load
from headfit.synth import synthesize
from tests.support.pretended_device import DEVICE, DeviceTensor, PretendedDevice
from tests.support.pretended_trainer import TRAINER, pretended_gpu

#: Every kind of stage: blurred and sharp masks, colours, second-order steps, windows, the temporal term.
SETTINGS = """
texture_size: 64
key_frames: 2
steps_per_checkpoint: 2
steps_per_picture: 100
hold_out: [cam01]
stages:
  blurred:
    {frames: key, steps: 2, resolution: 64, views_per_frame: 2, blur: 2.0,
     rates: {rotation: 0.01, translation: 0.002, scale: 0.01, expression: 0.01, joints: 0.01},
     weights: {mask: 1, landmark: 1000, expression: 1.0e-3, joints: 1.0e-3}}
  sharp:
    {frames: key, steps: 2, resolution: 64, views_per_frame: 2,
     rates: {rotation: 0.01, translation: 0.002, identity: 0.03, placement: 0.005, offsets: 0.0002},
     weights: {mask: 1, landmark: 1000, identity: 2.0e-3, placement: 1.0e-3, offsets: 1.0e+3}}
  photo:
    {frames: key, steps: 4, resolution: 80, views_per_frame: 2,
     rates: {translation: 0.0002, identity: 0.03, expression: 0.01, joints: 0.01, placement: 0.005, offsets: 0.0002,
             texture: 0.01, light: 0.005, gloss: 0.005, gain: 0.002},
     weights: {mask: 1, photometric: 0.5, identity: 2.0e-3, expression: 1.0e-3, offsets: 1.0e+3}}
  shape:
    {frames: key, solver: gauss_newton, steps: 1, resolution: 80, views_per_frame: 2,
     rates: {rotation: 0.1, translation: 0.01, scale: 0.01, identity: 0.1, expression: 0.1, joints: 0.1},
     weights: {mask: 1, landmark: 1000, identity: 2.0e-3, expression: 1.0e-3, joints: 1.0e-3}}
  settle:
    {frames: key, solver: gauss_newton, steps: 2, resolution: 80, views_per_frame: 2,
     rates: {rotation: 0.1, translation: 0.01, expression: 0.1, joints: 0.1, detail: 0.3},
     weights: {mask: 1, photometric: 0.5, landmark: 1000, temporal: 0.01, detail: 0.1, expression: 1.0e-3,
               joints: 1.0e-3}}
  windows:
    {frames: windows, steps: 2, frames_per_step: 1, resolution: 64, views_per_frame: 2,
     rates: {rotation: 0.01, translation: 0.002, expression: 0.01, joints: 0.01},
     weights: {mask: 1, photometric: 0.5, landmark: 1000, expression: 1.0e-3}}
  temporal:
    {frames: each, steps: 1, frames_per_step: 1, resolution: 64, views_per_frame: 2,
     rates: {rotation: 0.002, translation: 0.0002, expression: 0.01, detail: 0.1, offsets: 0.0002},
     weights: {mask: 1, photometric: 0.5, temporal: 0.01, detail: 0.1, expression: 1.0e-3, offsets: 1.0e+3}}
"""


#: What is read and kept: the vertices that a mesh refers to, which vertices are free, which frames have been moved.
READ_ONCE = {"raster/topology.py _range", "fitting/smooth_offsets.py _inverse_on", "fitting/model.py _indices"}


@pytest.fixture(scope="module", autouse=True)
def as_on_a_gpu() -> Iterator[None]:
    """The CPU computes as a GPU does; and matrices, which take seconds, are made once."""
    made: dict[int, np.ndarray] = {}

    def block(system: scipy.sparse.csr_matrix, chosen: np.ndarray) -> np.ndarray:
        if len(chosen) not in made:
            made[len(chosen)] = block_of_inverse(system, chosen)
        return made[len(chosen)]

    with (
        mock.patch("headfit.raster.backend.is_asynchronous", lambda device: True),
        mock.patch("headfit.fitting.smooth_offsets.block_of_inverse", block),
    ):
        yield


@pytest.fixture(scope="module")
def folder(small_head: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("device")
    (folder / "settings.yaml").write_text(f"head: {small_head}\n{SETTINGS}")
    synthesize(folder / "capture", cameras=3, frames=3, width=60, height=80, seed=1, head=load(small_head))
    return folder


@pytest.fixture(scope="module")
def on_cpu(folder: Path) -> Run:
    """The fit as it is on the CPU."""
    return run_fit(folder, "cpu", {"accelerator": "cpu", "devices": 1})


def run_fit(folder: Path, name: str, trainer: dict, resume: bool = False, **options) -> Run:
    args = RunArgs(capture=str(folder / "capture"), out=str(folder / name), trainer=trainer, resume=resume)
    return fit(load_config(folder / "settings.yaml"), args, **options)


class Waits(pl.Callback):
    """What the steps of each stage would have waited for the GPU for, and how often: those at which the losses are read
    (the last ones of chunks), and the `others` that are first-order."""

    def __init__(self, device: PretendedDevice) -> None:
        self.device = device
        self.of_stage: dict[str, Counter[str]] = {}
        self.others: Counter[str] = Counter()

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        assert isinstance(batch.image, DeviceTensor)
        self.device.reset()

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        chunk = pl_module.chunk
        read = trainer.global_step == chunk.first + chunk.steps
        if read:
            self.of_stage[chunk.stage] = self.device.waits.copy()
        elif pl_module.stage.solver == "adam":
            self.others += self.device.waits


class Killed(Exception):
    """The end of a process, between two checkpoints."""


class Kill(pl.Callback):
    """Raises `Killed` before a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if trainer.global_step == self.step:
            raise Killed


@pytest.fixture(scope="module")
def on_gpu(folder: Path) -> Waits:
    """The same fit on the pretended GPU, killed in the middle and resumed."""
    with pretended_gpu() as device:
        waits = Waits(device)
        with pytest.raises(Killed):
            run_fit(folder, "gpu", TRAINER, callbacks=[waits, Kill(7)])
        run_fit(folder, "gpu", TRAINER, resume=True, callbacks=[waits])
    return waits


def state(run: Path) -> dict[str, torch.Tensor]:
    saved: dict[str, torch.Tensor] = torch.load(run / CHECKPOINT, weights_only=False)["state_dict"]
    return saved


def differing(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[str]:
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


@pytest.fixture
def model(folder: Path, on_cpu: Run) -> Iterator[FittedHead]:
    """The finished fit, opened on the pretended GPU."""
    with pretended_gpu(), deterministic():
        model = load_run(on_cpu.path).model.to("cuda")
        assert model.device == DEVICE
        assert all(isinstance(value, DeviceTensor) for value in model.state_dict().values())
        yield model


@contextmanager
def deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def test_every_stage_and_a_resume_give_the_numbers_of_the_cpu(folder, on_cpu, on_gpu):
    assert on_gpu.of_stage.keys() == load_config(folder / "settings.yaml").stages.keys()
    assert differing(state(on_cpu.path), state(folder / "gpu")) == []


def test_pictures_drawn_during_the_fit_are_those_of_the_cpu(on_cpu, on_gpu, folder):
    drawn = sorted(path.relative_to(on_cpu.path) for path in (on_cpu.path / "pictures").rglob("*.png"))
    assert len(drawn) > 4
    assert [
        str(name) for name in drawn if (on_cpu.path / name).read_bytes() != (folder / "gpu" / name).read_bytes()
    ] == []


def test_no_step_waits_for_the_gpu_but_to_read_the_losses(on_gpu):
    assert places(on_gpu.others) <= READ_ONCE
    # Second-order steps wait for each frame: there are few of them.
    first_order = {stage: waits for stage, waits in on_gpu.of_stage.items() if stage not in ("shape", "settle")}
    for stage, waits in first_order.items():
        assert {"fitting/module.py _log"} <= places(waits) <= {"fitting/module.py _log", *READ_ONCE}, stage


def places(waits: Counter[str]) -> set[str]:
    return {place.rpartition(" ")[0].removesuffix(" to") for place in waits}


@pytest.mark.parametrize("stage", ["blurred", "sharp", "photo", "temporal"])
def test_what_a_gpu_computes_otherwise_gives_the_same_loss_and_gradient(stage, folder, on_cpu):
    args = RunArgs(capture=str(folder / "capture"), out=str(folder / "other"))
    config = replace(load_config(folder / "settings.yaml"), texture_size=64)
    module = build(config, args, open_capture(folder / "capture"))
    module.model.load_state_dict(on_cpu.model.state_dict())
    settings = config.stages[stage]
    batch = module.data.view_batch([(0, 0), (0, 2), (1, 2)], framings_at(module.model.head_windows, 64))
    moved = {n: p for n, p in module.model.named_parameters() if settings.rates.get(entry_of(n).group)}
    found = []
    for asynchronous in (True, False):
        with mock.patch("headfit.raster.backend.is_asynchronous", lambda device, answer=asynchronous: answer):
            values = module.losses(batch, settings)
            total = torch.stack([settings.weights[name] * value for name, value in values.items()]).sum()
            gradients = torch.autograd.grad(total, list(moved.values()))
            found.append((total.detach(), *map(dense, gradients)))
    for name, one, other in zip(["total", *moved], *found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * float(other.abs().max()), msg=name)


@pytest.mark.parametrize("use_landmarks", [True, False])
def test_the_head_is_placed(folder, use_landmarks):
    capture = open_capture(folder / "capture")
    config = replace(load_config(folder / "settings.yaml"), use_landmarks=use_landmarks, hold_out=[])
    placed = FittedHead.build(config, CaptureSummary.of(capture))
    initialise_pose(placed, capture)
    with pretended_gpu(), deterministic():
        model = FittedHead.build(config, CaptureSummary.of(capture)).to("cuda")
        initialise_pose(model, capture)
        found = {name: value.cpu() for name, value in model.state_dict().items()}
    assert differing(placed.state_dict(), found) == []


def test_a_person_is_inherited(folder, on_cpu):
    capture = CaptureSummary.of(open_capture(folder / "capture"))
    config = inherit_settings(replace(load_config(folder / "settings.yaml"), init_from=str(on_cpu.path)))
    with pretended_gpu(), deterministic():
        model = FittedHead.build(config, capture).to("cuda")
        load_person(model)
        assert torch.equal(model.geometry.identity.detach().cpu(), on_cpu.model.geometry.identity)


def test_meshes_and_pictures_are_exported(model, on_cpu, tmp_path):
    for name, fitted in (("cpu", on_cpu.model), ("gpu", model)):
        export_meshes(fitted, tmp_path / name, ["npz", "ply", "obj", "glb"])
        assert render_pictures(fitted, tmp_path / name) == 9
    files = sorted(path.relative_to(tmp_path / "cpu") for path in (tmp_path / "cpu").rglob("*") if path.is_file())
    assert len(files) > 20
    for file in files:
        one, other = (tmp_path / name / file for name in ("cpu", "gpu"))
        if file.suffix == ".npz":  # a zip archive with the time of writing
            assert all(np.array_equal(np.load(one)[key], np.load(other)[key]) for key in np.load(one)), file
        else:
            assert one.read_bytes() == other.read_bytes(), file


def test_sheets_of_views(model, on_cpu, folder):
    capture = open_capture(folder / "capture")
    for one, other in zip(view_rows(on_cpu.model, capture), view_rows(model, capture), strict=True):
        assert (one.frame, one.camera) == (other.frame, other.camera)
        assert np.array_equal(one.picture, other.picture), one.frame


def test_health(model, on_cpu, folder):
    capture = open_capture(folder / "capture")
    run = load_run(on_cpu.path)
    run.model = model
    assert examine(run, capture)[0] == examine(on_cpu, capture)[0]
