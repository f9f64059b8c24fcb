"""Reading, checking and saving settings: YAML files, inheritance between stages, command-line overrides."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from headfit.errors import HeadfitError
from headfit.files import write_atomically
from headfit.fitting.config import FRAME_CHOICES, FitConfig, RunArgs, Stage
from headfit.fitting.groups import GROUPS
from headfit.fitting.terms import TERMS

#: The settings of a run, in its folder: what decides its numbers, and where it reads, writes and computes.
CONFIG, RUN_ARGS = "config.yaml", "run.yaml"


def load_settings(path: str | Path, overrides: Sequence[str] = ()) -> tuple[FitConfig, RunArgs]:
    """Read a YAML file and apply overrides such as `stages.rigid.steps=20`.

    Besides the fields of `FitConfig` and `RunArgs` the file may hold
        extends: another file, relative to this one, whose settings are the defaults. If this file lists `stages`, then
            only those run, and each inherits from the stage of the same name.
        defaults: fields of a stage that every stage inherits.

    Raises:
        HeadfitError: the file is missing or not YAML, or a key or value does not fit; the message names it.
    """
    raw = _read(Path(path))
    try:
        raw = _merged(raw, OmegaConf.from_dotlist(list(overrides)))
    except OmegaConfBaseException as error:
        raise HeadfitError(f"override {' '.join(overrides)}: {_first_lines(error)}") from None
    where = f"{path}" + (f" with {' '.join(overrides)}" if overrides else "")
    config, args = _typed(raw, where)
    _validate(config, str(path))
    return config, args


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> FitConfig:
    """The `FitConfig` of `load_settings`."""
    return load_settings(path, overrides)[0]


def save_settings(config: FitConfig, args: RunArgs, run: Path) -> None:
    """Write the resolved settings, so that the run can be repeated from its folder alone."""
    write_atomically(run / CONFIG, OmegaConf.to_yaml(OmegaConf.structured(config)))
    write_atomically(run / RUN_ARGS, OmegaConf.to_yaml(OmegaConf.structured(args)))


def load_run_settings(run: Path) -> tuple[FitConfig, RunArgs]:
    """The settings of a run folder. Raises HeadfitError when there are none."""
    if not (run / CONFIG).exists():
        raise HeadfitError(f"{run}: no run here (there is no {CONFIG})")
    if not (run / RUN_ARGS).exists():
        raise HeadfitError(f"{run}: was made by an earlier version of headfit (there is no {RUN_ARGS}); fit again")
    return load_config(run / CONFIG), load_settings_of(run / RUN_ARGS)


def load_settings_of(path: Path) -> RunArgs:
    """The `RunArgs` that `save_settings` wrote."""
    return _typed(_read(path), str(path))[1]


def _read(path: Path) -> DictConfig:
    """The settings of a file and of those that it extends, as given."""
    try:
        given = OmegaConf.load(path)
    except FileNotFoundError:
        raise HeadfitError(f"{path}: no such configuration file") from None
    except OSError as error:
        raise HeadfitError(f"{path}: cannot be read ({error.strerror})") from None
    except Exception as error:  # yaml's own errors have no common public base across its loaders
        raise HeadfitError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(given, DictConfig):
        raise HeadfitError(f"{path}: expected settings by name, like `seed: 0`")
    base = given.pop("extends", None)
    if base is None:
        return given
    inherited = _read(path.parent / str(base))
    if given.get("stages") is not None:
        known = inherited.get("stages", {})
        inherited["stages"] = {name: known.get(name, {}) for name in given["stages"]}
    return _merged(inherited, given)


def _merged(first: DictConfig, second: DictConfig) -> DictConfig:
    merged = OmegaConf.merge(first, second)
    assert isinstance(merged, DictConfig)
    return merged


def _typed(raw: DictConfig, where: str) -> tuple[FitConfig, RunArgs]:
    """Settings as dataclasses, defaults of stages filled in."""
    try:
        defaults = raw.pop("defaults", {})
        for name, stage in (raw.get("stages") or {}).items():
            raw["stages"][name] = OmegaConf.merge(defaults, stage or {})
        of_run = {field.name for field in fields(RunArgs)}
        numbers, places = ({k: v for k, v in raw.items() if (k in of_run) is run} for run in (False, True))
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(FitConfig), numbers))
        args = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(RunArgs), places))
    except OmegaConfBaseException as error:
        raise HeadfitError(f"{where}: {_first_lines(error)}") from None
    assert isinstance(config, FitConfig) and isinstance(args, RunArgs)
    return config, args


def _first_lines(error: Exception) -> str:
    """What is wrong and which key: OmegaConf explains it in its first two lines."""
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
        _validate_stage(stage, f"{path}: stage {name}")


def _validate_stage(stage: Stage, where: str) -> None:
    if stage.frames not in FRAME_CHOICES:
        raise HeadfitError(f"{where}: frames must be one of {', '.join(FRAME_CHOICES)}, not {stage.frames!r}")
    _require_known(stage.rates, GROUPS, f"{where}: rates: unknown parameter group")
    _require_known(stage.weights, TERMS, f"{where}: weights: unknown loss term")
    if min(stage.steps, stage.resolution, stage.frames_per_step, stage.views_per_frame) < 1:
        raise HeadfitError(f"{where}: steps, resolution, frames_per_step and views_per_frame must be 1 or more")


def _require_known(names: Iterable[str], known: Iterable[str], message: str) -> None:
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, list(known), n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise HeadfitError(f"{message} {name!r}; known: {', '.join(known)}.{hint}")
