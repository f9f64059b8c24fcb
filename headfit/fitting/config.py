"""The fit's settings: a typed tree that YAML files and dotted overrides fill (OmegaConf)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from headfit.errors import HeadfitError
from headfit.fitting.checkpoints import write_whole

#: The settings of a run, in its folder.
CONFIG = "config.yaml"
#: Which frames a stage can go through (`Stage` says what each means).
FRAMES = ("all", "key", "windows", "each")
#: Parameter groups a stage may move (headfit.fitting.parameters says what each is).
GROUPS = (
    "rotation",
    "translation",
    "scale",
    "identity",
    "expression",
    "joints",
    "placement",
    "offsets",
    "detail",
    "texture",
    "light",
    "gain",
)


@dataclass
class LossWeights:
    """Weights of the loss terms. Data terms are normalised per view and by the head's area in the picture."""

    mask: float = 0.0
    photometric: float = 0.0
    landmark: float = 0.0
    identity: float = 0.0
    expression: float = 0.0
    joints: float = 0.0
    placement: float = 0.0
    offsets: float = 0.0
    detail: float = 0.0
    temporal: float = 0.0


@dataclass
class Stage:
    """One stage of the fit: what moves, on which image scale, driven by which losses.

    frames: which frames the stage goes through.
        all: every step draws from all;
        key: from the capture's key frames (`FitConfig.key_frames`) only;
        windows: all but the key frames of earlier stages, in order of time, `frames_per_step` at once; a frame starts
            with the expression of the nearest that has been fitted;
        each: every step draws from all, unless all were key frames of earlier stages: then there is nothing to do.
    steps: of the whole stage; of each window; of `each`, how often each frame is drawn.
    resolution: longer image side in pixels (never above the capture's own).
    blur: standard deviation in pixels of the blur that the mask loss applies to both sides; 0 = none.
    rates: step length per parameter group, in the group's own unit; a group that is not named stands still.
    decay: the rates fall to this fraction over the last `decay_share` of the stage.
    """

    frames: str = "all"
    steps: int = 50
    resolution: int = 256
    blur: float = 0.0
    frames_per_step: int = 12
    views_per_frame: int = 4
    rates: dict[str, float] = field(default_factory=dict)
    weights: LossWeights = field(default_factory=LossWeights)
    decay: float = 0.2
    decay_share: float = 0.4


@dataclass
class FitConfig:
    """Everything `headfit fit` needs; `stages` run in the order in which they stand.

    init_from: run folder of a fit of the same person, whose head, texture and light are taken over.
    texture_size: texels per side, a power of two; 0: as the capture's pictures have pixels (see `texture_size_for`).
    key_frames: as many frames, evenly spread, make the person; the others of a longer capture come after.
    cache_gib: bound on the memory of decoded views, of all processes together.
    deterministic: one seed gives the same bits in every run with as many threads, also across a kill and --resume. It
    costs nothing measurable on a CPU.
    """

    capture: str = ""
    out: str = ""
    head: str = "default"
    init_from: str = ""
    hold_out: list[str] = field(default_factory=list)
    use_landmarks: bool = True
    resume: bool = False
    seed: int = 0
    deterministic: bool = True
    texture_size: int = 0
    cache_gib: float = 2.0
    key_frames: int = 24
    steps_per_checkpoint: int = 50
    steps_per_picture: int = 150
    offset_smoothness: float = 30.0
    class_weights: dict[str, float] = field(default_factory=dict)
    trainer: dict[str, Any] = field(default_factory=lambda: {"accelerator": "cpu", "devices": 1})
    stages: dict[str, Stage] = field(default_factory=dict)


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> FitConfig:
    """Read a YAML file and apply overrides such as `stages.rigid.steps=20`.

    Raises:
        HeadfitError: the file is missing or no YAML, or a key or value does not fit; the message names it.
    """
    schema = OmegaConf.structured(FitConfig)
    try:
        given = OmegaConf.load(Path(path))
        config = OmegaConf.merge(schema, given)
    except FileNotFoundError:
        raise HeadfitError(f"{path}: no such configuration file") from None
    except OmegaConfBaseException as error:
        raise HeadfitError(f"{path}: {first_line(error)}") from None
    except Exception as error:  # yaml's own errors have no common public base across its loaders
        raise HeadfitError(f"{path}: not readable as YAML: {error}") from None
    try:
        config = OmegaConf.merge(config, OmegaConf.from_dotlist(list(overrides)))
    except OmegaConfBaseException as error:
        raise HeadfitError(f"override {' '.join(overrides)}: {first_line(error)}") from None
    result: FitConfig = OmegaConf.to_object(config)  # type: ignore[assignment]
    _validate(result, str(path))
    return result


def save_config(config: FitConfig, path: Path) -> None:
    """Write the resolved settings, so that the run can be repeated from its folder alone."""
    write_whole(path, OmegaConf.to_yaml(OmegaConf.structured(config)))


def first_line(error: Exception) -> str:
    """OmegaConf explains over several lines; the first says what is wrong, the second names the key."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:2])


def _validate(config: FitConfig, path: str) -> None:
    if not config.stages:
        raise HeadfitError(f"{path}: no stages; see configs/fit.yaml for an example")
    if config.texture_size & (config.texture_size - 1) or 0 < config.texture_size < 64:
        raise HeadfitError(f"{path}: texture_size must be 0 or a power of two of 64 or more, not {config.texture_size}")
    if config.key_frames < 1:
        raise HeadfitError(f"{path}: key_frames must be 1 or more, not {config.key_frames}")
    for name, stage in config.stages.items():
        if stage.frames not in FRAMES:
            raise HeadfitError(f"{path}: stage {name}: frames must be one of {', '.join(FRAMES)}, not {stage.frames!r}")
        unknown = sorted(set(stage.rates) - set(GROUPS))
        if unknown:
            raise HeadfitError(f"{path}: stage {name} moves unknown group {unknown[0]}; known: {', '.join(GROUPS)}")
        if min(stage.steps, stage.resolution, stage.frames_per_step, stage.views_per_frame) < 1:
            raise HeadfitError(
                f"{path}: stage {name}: steps, resolution, frames_per_step and views_per_frame must be 1 or more"
            )
