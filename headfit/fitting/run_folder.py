"""The run folder: what a fit leaves behind, and opening it again."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from headfit.capture.summary import CaptureSummary
from headfit.errors import HeadfitError
from headfit.files import damage_named, errors_in, read_json
from headfit.fitting.checkpoints import CHECKPOINT, find_checkpoint, load_checkpoint
from headfit.fitting.config import RunArgs
from headfit.fitting.harm import Harm
from headfit.fitting.model import FittedHead
from headfit.fitting.settings import load_run_settings

#: In the checkpoint of a take whose frames are there: the number of shards.
GATHERED = "shards"
ENVIRONMENT, SKIPPED, HARMFUL = "environment.json", "skipped.json", "harmful_stages.json"
#: Folder of its TensorBoard events.
TENSORBOARD = "tensorboard"
#: Prefix of `FittedHead`'s entries in a checkpoint of `HeadFit`.
PREFIX = "model."


class Run:
    """A finished or interrupted fit: its folder, its settings and the fitted head.

    skipped: files of the capture that training could not use, by kind. harmful: the stages that made the face
    worse, see `Guard`. unfinished: what is not done yet; empty where nothing is left.
    """

    def __init__(self, path: Path, model: FittedHead, args: RunArgs, unfinished: str = "") -> None:
        self.path = path
        self.model = model.eval()
        self.args = args
        self.unfinished = unfinished
        self.skipped = _read_skipped(path / SKIPPED)
        self.harmful = _read_harmful(path / HARMFUL)


def load_run(path: str | Path) -> Run:
    """Open a run folder. Neither the capture nor Lightning is needed.

    Raises:
        HeadfitError: no settings or checkpoint there, or they are of another version or head.
    """
    path = Path(path)
    config, args = load_run_settings(path)
    checkpoint = load_checkpoint(path)
    made_by = made_by_version(path)
    file = find_checkpoint(path) or path
    if "capture" not in checkpoint:
        raise HeadfitError(f"{file}: does not fit this version of headfit; it was made by {made_by}")
    with damage_named(file, "a checkpoint"), errors_in(file):
        model = FittedHead.build(config, CaptureSummary.from_dict(checkpoint["capture"]))
        model.require_same_head(checkpoint)
        state = model_state(checkpoint)
        try:
            model.load_state_dict(state)
        except RuntimeError as error:
            raise HeadfitError(f"does not fit this version of headfit; it was made by {made_by}") from error
    return Run(path, model, args, unfinished(checkpoint, args))


def unfinished(checkpoint: Mapping[str, Any], args: RunArgs) -> str:
    """What a run had not done when it wrote a checkpoint; empty where nothing was left, or in a run of before 0.2."""
    left = int(checkpoint.get("planned_steps", 0)) - int(checkpoint.get("global_step", 0))
    if left > 0:
        return f"steps left: {left}"
    return "the frames of its workers are not gathered yet" if args.workers and GATHERED not in checkpoint else ""


def is_current(run: Path, name: str) -> bool:
    """Whether a file of a run folder is there, and not older than the last checkpoint."""
    file, checkpoint = run / name, run / CHECKPOINT
    return file.exists() and not (checkpoint.exists() and file.stat().st_mtime_ns < checkpoint.stat().st_mtime_ns)


def model_state(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The state dict of `FittedHead` in a checkpoint."""
    return {name.removeprefix(PREFIX): value for name, value in checkpoint["state_dict"].items()}


def _read_skipped(path: Path) -> dict[str, list[str]]:
    if not path.exists():
        return {}
    skipped: dict[str, list[str]] = read_json(path)
    return skipped


def _read_harmful(path: Path) -> list[Harm]:
    return [Harm(**harm) for harm in read_json(path)] if path.exists() else []


def made_by_version(run: Path) -> str:
    """The state of the source tree that made a run, or its version."""
    try:
        made_by = read_json(run / ENVIRONMENT)
        return str(made_by["git"] or made_by["packages"]["headfit"])
    except (OSError, HeadfitError, KeyError, TypeError):
        return "an unknown version"


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
