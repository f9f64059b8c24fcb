"""A run: from settings to a trained folder, and from the folder back to vertices and pictures."""

from __future__ import annotations

import ctypes
import json
import platform
import subprocess
import sys
import warnings
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.loggers import TensorBoardLogger
from torch import Tensor

from headfit.capture.camera import Camera
from headfit.capture.capture import Capture
from headfit.capture.data import CaptureData
from headfit.capture.labels import label_classes
from headfit.errors import HeadfitError
from headfit.fitting.callbacks import KeepLast, Pictures, StageProgress
from headfit.fitting.checkpoints import CHECKPOINT, find_checkpoint, load_checkpoint, write_whole
from headfit.fitting.config import CONFIG, FitConfig, load_config, save_config
from headfit.fitting.health import examine, format_health
from headfit.fitting.initialise import initialise
from headfit.fitting.known import like_known, take_known
from headfit.fitting.module import HeadFit
from headfit.fitting.parallel import OwnGradientSum
from headfit.head import HeadModel, load
from headfit.render import CameraBatch

#: Numbers of glibc's malloc.h.
MALLOPT_TRIM_THRESHOLD, MALLOPT_MMAP_THRESHOLD = -1, -3
#: Settings that a resumed run may change: they do not alter its numbers.
MAY_CHANGE = {"capture", "out", "resume", "trainer", "cache_gib", "steps_per_picture"}


def build(config: FitConfig) -> HeadFit:
    """The module of a fit, with its capture, data and head, parameters at zero.

    Raises:
        HeadfitError: the capture, the head or a held-out camera cannot be had.
    """
    pl.seed_everything(config.seed, workers=True, verbose=False)
    capture = Capture.open(config.capture)
    head = load(config.head)
    classes = label_classes(head.label_names, capture.label_names)
    data = CaptureData(
        capture,
        classes,
        hold_out=config.hold_out,
        seed=config.seed,
        cache_bytes=int(config.cache_gib * 2**30) // _processes(config),
    )
    return HeadFit(config, capture, data, head, classes)


def fit(config: FitConfig) -> Run:
    """Run the whole fit and leave a run folder: config, checkpoint, TensorBoard events, pictures.

    Raises:
        HeadfitError: bad input, a folder that already holds another run, a run resumed with other settings, or a loss
            that is not finite.
    """
    run = Path(config.out)
    config = like_known(config) if config.init_from else config
    config = replace(config, texture_size=config.texture_size or texture_size_for(config.capture))
    checkpoint = _claim(run, config)
    keep_freed_memory()
    # Deterministic mode would fill all new memory, which nothing reads, at a tenth of a step's cost.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    module = build(config)
    processes = _processes(config)
    _require_a_view_each(module, processes)
    trainer = pl.Trainer(
        **{
            "logger": TensorBoardLogger(run, name=None, version="tensorboard"),
            "callbacks": [StageProgress(), KeepLast(run), Pictures(run, config.steps_per_picture)],
            "max_epochs": len(module.plan.chunks),
            "reload_dataloaders_every_n_epochs": 1,
            "enable_checkpointing": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "log_every_n_steps": 1,
            "deterministic": config.deterministic,
            "strategy": OwnGradientSum() if processes > 1 else "auto",
            **config.trainer,
        }
    )
    if trainer.is_global_zero:
        save_config(replace(config, resume=False), run / CONFIG)
        write_whole(run / "environment.json", json.dumps(environment(), indent=1))
    if checkpoint is None:
        if config.init_from:
            print(take_known(module), file=sys.stderr)
        initialise(module)
    with warnings.catch_warnings():
        # Lightning suggests worker processes; views come from the in-process cache, decoded once.
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*smaller than the logging interval.*")
        trainer.fit(module, ckpt_path=str(checkpoint) if checkpoint else None, weights_only=False)
    if trainer.is_global_zero:
        report_health(module, run, trainer)
        print(f"fitted: {run}")
    return Run(run, module)


def texture_size_for(capture: str) -> int:
    """Texels per side that suit a capture: the power of two at or above its pictures' longer side, up to 2048.

    The default layout draws the face at about 0.8 mm a texel at 512, which is what a pixel shows when a head fills a
    picture of 512. Texels finer than pixels are seen by few of them and learn their noise.
    """
    cameras = Capture.open(capture).cameras
    longest = max(max(camera.width, camera.height) for camera in cameras)
    return min(2048, 1 << max(8, (longest - 1).bit_length()))


def _processes(config: FitConfig) -> int:
    """Number of processes that the trainer's settings ask for; what Lightning shall find out itself counts as 1."""
    devices, nodes = config.trainer.get("devices", 1), config.trainer.get("num_nodes", 1)
    return devices * nodes if isinstance(devices, int) else 1


def _require_a_view_each(module: HeadFit, processes: int) -> None:
    for chunk in module.plan.chunks:
        name, stage = chunk.stage, module.config.stages[chunk.stage]
        frames = min(stage.frames_per_step, len(chunk.frames))
        views = frames * min(stage.views_per_frame, module.data.sampler.fewest_cameras)
        if views < processes:
            raise HeadfitError(
                f"stage {name}: a step of {views} views cannot be shared by {processes} processes; raise "
                "frames_per_step or views_per_frame, or lower trainer.devices"
            )


def _claim(run: Path, config: FitConfig) -> Path | None:
    """Make the run folder, or find the checkpoint to go on from; None: start at the first step."""
    if config.resume:
        if not (run / CONFIG).exists():
            raise HeadfitError(f"{run}: nothing to resume: no {CONFIG} there; start without --resume")
        _require_same_settings(run, config)
        return find_checkpoint(run)
    if (run / CHECKPOINT).exists():
        raise HeadfitError(f"{run}: already holds a run; continue it with --resume, or choose another --out")
    run.mkdir(parents=True, exist_ok=True)
    return None


def _require_same_settings(run: Path, config: FitConfig) -> None:
    saved = asdict(load_config(run / CONFIG))
    changed = [key for key, value in asdict(config).items() if key not in MAY_CHANGE and saved[key] != value]
    if changed:
        raise HeadfitError(
            f"{run}: --resume with another {changed[0]} than the run began with (see {run / CONFIG}); "
            "resume without --config and overrides, or start a new run"
        )


def keep_freed_memory() -> None:
    """Have glibc keep freed image buffers for the next step instead of returning them to the system.

    It would unmap blocks above 32 MiB at once, and every step would spend a quarter of its time on fresh zeroed pages.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(MALLOPT_MMAP_THRESHOLD, 2**30)
        libc.mallopt(MALLOPT_TRIM_THRESHOLD, 2**31 - 1)


def report_health(module: HeadFit, run: Path, trainer: pl.Trainer) -> None:
    """Say where a person should look, and which files could not be used; keep both in the run folder."""
    health = examine(module)
    health.save(run)
    (run / "skipped.json").write_text(json.dumps(health.ignored, indent=1))
    summary = format_health(health)
    print(summary)
    writer = trainer.logger.experiment  # type: ignore[union-attr]
    writer.add_text("health", "```\n" + summary + "\n```", trainer.global_step)
    writer.flush()


def environment() -> dict[str, Any]:
    """Versions and the state of the source tree, so that a result can be traced to what made it."""
    packages = ("headfit", "torch", "pytorch-lightning", "numpy", "opencv-python")
    source = Path(__file__).resolve().parents[2]
    return {
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads",
        "packages": {name: version(name) for name in packages},
        "git": _git(source, "describe", "--always", "--dirty"),
    }


def _git(source: Path, *command: str) -> str | None:
    if not (source / ".git").exists():
        return None
    try:
        done = subprocess.run(["git", *command], cwd=source, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


class Run:
    """A finished (or interrupted) fit: what export, render and evaluate read.

    frames: frame names. hold_out: camera ids kept out of training.
    """

    def __init__(self, path: Path, module: HeadFit) -> None:
        self.path = path
        self.module = module.eval()
        self.config = module.config
        self.capture: Capture = module.capture
        self.head: HeadModel = module.geometry.head
        self.frames: list[str] = module.capture.frames
        self.hold_out: list[str] = list(module.config.hold_out)

    def vertices(self, frame_index: int) -> Tensor:
        """World vertices `[V,3]` (metres) of one frame."""
        return self.module.vertices(frame_index)

    def texture(self) -> NDArray[np.uint8]:
        """The albedo `[T,T,3]` uint8 RGB; row 0 is v = 1."""
        return self.module.texture_image()

    def render(self, camera: Camera, frame_index: int) -> dict[str, NDArray[Any]]:
        """Layers of one frame in a camera, without batch dimension: see HeadRenderer.layers; rgb is uint8.

        A camera that is not of the capture takes the mean colour gain.
        """
        ids = [c.id for c in self.capture.cameras]
        index = ids.index(camera.id) if camera.id in ids else -1
        layers = self.module.render(CameraBatch.of([camera]), index, frame_index)
        return layers | {"rgb": (layers["rgb"] * 255).round().astype(np.uint8)}


def load_run(path: str | Path) -> Run:
    """Open a run folder.

    Raises:
        HeadfitError: no configuration or checkpoint there, it is of another version or head, or the capture has moved.
    """
    path = Path(path)
    if not (path / CONFIG).exists():
        raise HeadfitError(f"{path}: no finished run here (there is no {CONFIG})")
    module = build(load_config(path / CONFIG))
    checkpoint = load_checkpoint(path)
    module.on_load_checkpoint(checkpoint)
    try:
        module.load_state_dict(checkpoint["state_dict"])
    except RuntimeError as error:
        made_by = json.loads((path / "environment.json").read_text())["git"] or "another version"
        raise HeadfitError(f"{path / CHECKPOINT}: does not fit this headfit; it was made by {made_by}") from error
    return Run(path, module)
