"""What settings may be. Everything that can be known is checked before any work, and named in one line."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from headfit.capture.labels import ALIASES, LABELS
from headfit.errors import HeadfitError
from headfit.fitting.config import FRAME_CHOICES, SOLVERS, FitConfig, RunArgs, Stage
from headfit.fitting.groups import GROUPS, STATE
from headfit.fitting.second_order import OF_PERSON, SOLVED
from headfit.fitting.terms import TERMS
from headfit.fitting.windows import INDEPENDENT
from headfit.raster.backend import DEVICES

#: A texel of the largest texture is 0.05 mm on the face: no picture shows as much.
MIN_TEXTURE_SIZE, MAX_TEXTURE_SIZE = 64, 8192
#: Bytes of a texel while a fit runs: 3 float32 of the pyramid (4/3 of the finest level), each with its gradient and two
#: moments, and three copies of parameters and moments where a checkpoint is written.
TEXEL_BYTES = 3 * 4 * (4 / 3) * (4 + 3 * 3)
#: Smallest longer side, in pixels, at which a head is a head.
MIN_RESOLUTION = 16
#: Names that `class_weights` may weigh: labels, their other names, and the class of the inside of the mouth.
CLASS_NAMES = (*LABELS, *ALIASES, "mouth")
#: Arguments of Lightning's Trainer that are the user's; a fit decides the others.
TRAINER_KEYS = ("accelerator", "devices", "num_nodes", "precision", "profiler", "detect_anomaly", "benchmark")
ACCELERATORS = {"auto": DEVICES, "cpu": ("cpu",), "gpu": ("cuda",), "cuda": ("cuda",)}
PRECISIONS = (None, 32, "32", "32-true")


@dataclass(frozen=True)
class _Range:
    """Allowed values of a number."""

    low: float
    high: float = math.inf
    above_low: bool = False

    def require(self, value: float, where: str) -> None:
        is_number = isinstance(value, int | float) and math.isfinite(value)  # YAML may hold anything here
        if not is_number or not (self.low < value if self.above_low else self.low <= value) or value > self.high:
            raise HeadfitError(f"{where} must be {self}, not {value!r}")

    def __str__(self) -> str:
        low = f"more than {self.low:g}" if self.above_low else f"{self.low:g} or more"
        if self.high == math.inf:
            return f"a number, {low}"
        return f"{low} and at most {self.high:.0f}" if self.above_low else f"between {self.low:g} and {self.high:.0f}"


_NOT_NEGATIVE, _COUNT = _Range(0), _Range(1, 10**6)
_FIT_RANGES = {
    "seed": _Range(0, 2**32 - 1),
    "key_frames": _COUNT,
    "steps_per_checkpoint": _COUNT,
    "offset_smoothness": _Range(0, 10**6, above_low=True),
}
_ARGS_RANGES = {"cache_gib": _Range(0, 10**6), "steps_per_picture": _COUNT, "workers": _Range(0, 10**4)}
_STAGE_RANGES = {
    "steps": _COUNT,
    "resolution": _Range(MIN_RESOLUTION, 10**5),
    "blur": _NOT_NEGATIVE,
    "frames_per_step": _COUNT,
    "views_per_frame": _COUNT,
    "warm_up": _Range(0, 1),
    "decay": _Range(0, 1, above_low=True),
    "decay_share": _Range(0, 1),
}


def validate_config(config: FitConfig, where: str) -> None:
    """Check what decides the numbers of a fit.

    Args:
        config: the settings.
        where: names the file in messages.

    Raises:
        HeadfitError: a value that a fit cannot have; the message names it.
    """
    if not config.stages:
        raise HeadfitError(f"{where}: no stages; see configs/fit.yaml for an example")
    _require_ranges(config, _FIT_RANGES, f"{where}: ")
    _require_texture_size(config.texture_size, where)
    _require_known(config.class_weights, CLASS_NAMES, f"{where}: class_weights: unknown class")
    _require_numbers(config.class_weights, f"{where}: class_weights.")
    for name, stage in config.stages.items():
        _validate_stage(stage, config.use_landmarks, f"{where}: stage {name}")
    _require_independent(config.stages, where)


def _require_independent(stages: Mapping[str, Stage], where: str) -> None:
    """Stages whose windows are independent of each other come last, and move nothing that frames have in common."""
    of_frames = {entry.group for entry in STATE if entry.scope == "frame"}
    earlier = ""
    for name, stage in stages.items():
        shared = [group for group, rate in stage.rates.items() if rate > 0 and group not in of_frames]
        if stage.frames in INDEPENDENT and shared:
            raise HeadfitError(
                f"{where}: stage {name}: frames: {stage.frames} fits windows apart from each other, so rates."
                f"{shared[0]} must be 0: all frames share it"
            )
        if earlier and stage.frames not in INDEPENDENT:
            raise HeadfitError(f"{where}: stage {name}: must come before stage {earlier}, which fits windows apart")
        earlier = name if stage.frames in INDEPENDENT else earlier


def _validate_stage(stage: Stage, use_landmarks: bool, where: str) -> None:
    if stage.frames not in FRAME_CHOICES:
        raise HeadfitError(f"{where}: frames must be one of {', '.join(FRAME_CHOICES)}, not {stage.frames!r}")
    if stage.solver not in SOLVERS:
        raise HeadfitError(f"{where}: solver must be one of {', '.join(SOLVERS)}, not {stage.solver!r}")
    _require_ranges(stage, _STAGE_RANGES, f"{where}: ")
    if stage.blur > stage.resolution / 2:
        raise HeadfitError(
            f"{where}: blur must be at most half of resolution ({stage.resolution / 2:g} pixels), not {stage.blur}: "
            "nothing of the head is left"
        )
    _require_known(stage.rates, GROUPS, f"{where}: rates: unknown parameter group")
    _require_known(stage.weights, TERMS, f"{where}: weights: unknown loss term")
    _require_numbers(stage.rates, f"{where}: rates.")
    _require_numbers(stage.weights, f"{where}: weights.")
    moved = [group for group, rate in stage.rates.items() if rate > 0]
    if not moved:
        raise HeadfitError(f"{where}: nothing moves; give one of its rates a value, such as rates.translation=0.001")
    if stage.solver == "gauss_newton":
        _require_known(moved, SOLVED, f"{where}: rates: solver gauss_newton does not move")
        _require_person_apart(stage, moved, where)
    terms = [TERMS[name] for name, weight in stage.weights.items() if weight > 0]
    if not any(
        t.regularises in ("", *moved) and (use_landmarks or not (t.needs_landmarks or t.needs_dense_landmarks))
        for t in terms
    ):
        raise HeadfitError(
            f"{where}: no loss term has a weight, such as weights.mask=1 (priors of what does not move, and terms of "
            "landmarks without landmarks, do not count)"
        )


def _require_person_apart(stage: Stage, moved: list[str], where: str) -> None:
    of_person = ", ".join(group for group in moved if group in OF_PERSON)
    if of_person and "detail" in moved:
        raise HeadfitError(
            f"{where}: rates: solver gauss_newton moves either detail or what frames share ({of_person}), not both in "
            "one stage"
        )
    if of_person and stage.weights.get("temporal"):
        raise HeadfitError(
            f"{where}: weights.temporal: solver gauss_newton does not tie frames that it solves for together; set it "
            f"to 0, or move what frames share ({of_person}) in another stage"
        )


def _require_texture_size(size: int, where: str) -> None:
    if size == 0:
        return
    if size & (size - 1) or size < MIN_TEXTURE_SIZE:
        raise HeadfitError(f"{where}: texture_size must be 0 or a power of two of 64 or more, not {size}")
    needed, there = size**2 * TEXEL_BYTES / 2**30, memory_bytes() / 2**30
    if size > MAX_TEXTURE_SIZE:
        raise HeadfitError(
            f"{where}: texture_size must be {MAX_TEXTURE_SIZE} or less, not {size}: it would take {needed:.0f} GiB of "
            "memory, and its texels would be finer than any picture shows"
        )
    if needed > there:
        raise HeadfitError(
            f"{where}: texture_size {size} takes {needed:.1f} GiB of memory (parameters, gradients, moments, a "
            f"checkpoint), and this machine has {there:.1f}; halve it"
        )


def memory_bytes() -> float:
    """The memory of this machine, or of the container that this process runs in."""
    found = [float(os.sysconf("SC_PAGE_SIZE")) * os.sysconf("SC_PHYS_PAGES")]
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            with open(path, encoding="ascii") as file:
                found.append(float(file.read()))
        except (OSError, ValueError):  # no such control group, or "max": no limit
            continue
    return min(found)


def validate_args(args: RunArgs) -> None:
    """Check where a fit computes.

    Raises:
        HeadfitError: a value that a fit cannot have, a Trainer argument that is not the user's, or a device that is not
            there.
    """
    _require_ranges(args, _ARGS_RANGES, "")
    if args.cluster and not args.workers:
        raise HeadfitError("--cluster needs a number of workers, such as --workers 8")
    trainer = args.trainer
    for key in trainer:
        if key not in TRAINER_KEYS:
            hint = _nearest(key, TRAINER_KEYS)
            raise HeadfitError(
                f"trainer.{key}: not a setting; the stages decide how long a fit runs, and headfit what it logs and "
                f"keeps. Known: {', '.join(TRAINER_KEYS)}.{hint}"
            )
    if trainer.get("precision") not in PRECISIONS:
        raise HeadfitError(
            f"trainer.precision must be 32-true, not {trainer['precision']!r}: coordinates and residuals need float32"
        )
    accelerator = trainer.get("accelerator", "auto")
    if accelerator not in ACCELERATORS:
        raise HeadfitError(f"trainer.accelerator must be one of {', '.join(ACCELERATORS)}, not {accelerator!r}")
    device_type(args)
    if process_count(args) < 1:
        raise HeadfitError("trainer: there must be at least one device and one node")


def device_type(args: RunArgs) -> str:
    """`cuda` or `cpu`: where a fit computes. Raises HeadfitError where the accelerator is not there."""
    accelerator = args.trainer.get("accelerator", "auto")
    if "cuda" not in ACCELERATORS[accelerator]:
        return "cpu"
    if torch.cuda.is_available() and "cuda" in DEVICES:
        return "cuda"
    if accelerator == "auto":
        return "cpu"
    why = "torch finds no GPU" if not torch.cuda.is_available() else "headfit was built without CUDA"
    raise HeadfitError(f"trainer.accelerator={accelerator}: {why}; use trainer.accelerator=cpu")


def trainer_devices(args: RunArgs) -> int | list[int]:
    """The devices of each node: their number, or the indices of GPUs; `auto` and -1 are all GPUs, or one process on the
    CPU. Raises HeadfitError where they are not there."""
    given, kind = args.trainer.get("devices", 1), device_type(args)
    available = torch.cuda.device_count() if kind == "cuda" else 1
    if given in ("auto", -1, "-1"):
        return available
    chosen: Any = [int(i) for i in given.split(",")] if isinstance(given, str) and _is_list(given) else given
    if isinstance(chosen, str) and chosen.isdigit():
        chosen = int(chosen)
    if isinstance(chosen, list) and chosen and kind == "cuda" and all(type(i) is int for i in chosen):
        missing = [i for i in chosen if not 0 <= i < available]
        if missing or len(set(chosen)) < len(chosen):
            raise HeadfitError(f"trainer.devices={given}: the GPUs of this machine are 0 to {available - 1}, each once")
        return chosen
    if type(chosen) is not int or chosen < 1:
        raise HeadfitError(f"trainer.devices must be a number of {kind} devices, 1 or more, or auto, not {given!r}")
    if kind == "cuda" and chosen > available:
        raise HeadfitError(f"trainer.devices={given}: this machine has {available} GPUs")
    return chosen


def process_count(args: RunArgs) -> int:
    """Number of processes that share a step. Raises HeadfitError where the devices are not there."""
    devices, nodes = trainer_devices(args), args.trainer.get("num_nodes", 1)
    if type(nodes) is not int or nodes < 1:
        raise HeadfitError(f"trainer.num_nodes must be a number of machines, 1 or more, not {nodes!r}")
    return (devices if isinstance(devices, int) else len(devices)) * nodes


def _is_list(text: str) -> bool:
    return "," in text and all(part.strip().isdigit() for part in text.split(","))


def _require_ranges(settings: object, ranges: Mapping[str, _Range], where: str) -> None:
    for name, allowed in ranges.items():
        allowed.require(getattr(settings, name), where + name)


def _require_numbers(values: Mapping[str, float], where: str) -> None:
    for name, value in values.items():
        _NOT_NEGATIVE.require(value, where + name)


def _require_known(names: Iterable[str], known: Iterable[str], message: str) -> None:
    for name in names:
        if name not in known:
            raise HeadfitError(f"{message} {name!r}; known: {', '.join(known)}.{_nearest(name, known)}")


def _nearest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(str(name), list(known), n=1)
    return f" Did you mean {close[0]}?" if close else ""
