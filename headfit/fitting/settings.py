"""Reading, checking and saving settings: YAML files, inheritance between stages, command-line overrides."""

from __future__ import annotations

import difflib
import io
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from headfit.errors import HeadfitError
from headfit.files import describe, read_text, write_atomically
from headfit.fitting.config import FitConfig, RunArgs
from headfit.fitting.validation import validate_config

#: The settings of a run, in its folder: what decides its numbers, and where it reads, writes and computes.
CONFIG, RUN_ARGS = "config.yaml", "run.yaml"


def load_settings(
    path: str | Path, overrides: Sequence[str] = (), resumed: Path | None = None
) -> tuple[FitConfig, RunArgs]:
    """Read a YAML file and apply overrides such as `stages.photo.steps=20`.

    Besides the fields of `FitConfig` and `RunArgs` the file may hold
        extends: another file, relative to this one, whose settings are the defaults. If this file lists `stages`, then
            only those run, and each inherits from the stage of the same name.
        defaults: fields of a stage that every stage inherits.

    Args:
        path: the file.
        overrides: settings by their dotted names.
        resumed: a run folder, whose `RunArgs` are the defaults.

    Raises:
        HeadfitError: the file is missing or not YAML, or a key or value does not fit; the message names it.
    """
    raw = _read(Path(path))
    if resumed and (resumed / RUN_ARGS).exists():
        raw = _merged(_read(resumed / RUN_ARGS), raw)
    raw = _merged(raw, _parsed(overrides, raw))
    where = f"{path}" + (f" with {' '.join(overrides)}" if overrides else "")
    config, args = _typed(raw, where)
    validate_config(config, str(path))
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


def _read(path: Path, extended_by: tuple[Path, ...] = ()) -> DictConfig:
    """The settings of a file and of those that it extends, as given."""
    if path.resolve() in extended_by:
        raise HeadfitError(f"{path}: extends itself")
    try:
        given = OmegaConf.load(io.StringIO(read_text(path)))
    except FileNotFoundError:
        raise HeadfitError(f"{path}: no such configuration file") from None
    except OSError as error:
        raise HeadfitError(describe(error, path)) from None
    except HeadfitError:
        raise
    except Exception as error:  # yaml's own errors have no common public base across its loaders
        raise HeadfitError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(given, DictConfig):
        raise HeadfitError(f"{path}: expected settings by name, like `seed: 0`")
    base = given.pop("extends", None)
    if base is None:
        return given
    inherited = _read(path.parent / str(base), (*extended_by, path.resolve()))
    if given.get("stages") is not None:
        _require_names(given["stages"], "stages", str(path))
        known = inherited.get("stages") or {}
        inherited["stages"] = {name: known.get(name, {}) for name in given["stages"]}
    return _merged(inherited, given)


def _parsed(overrides: Sequence[str], raw: DictConfig) -> DictConfig:
    """Overrides as nested settings. Raises HeadfitError where one is of no such form or names a stage that `raw` has
    not: a misspelt name would add a stage."""
    given = OmegaConf.create({})
    for override in overrides:
        try:
            given = _merged(given, OmegaConf.from_dotlist([override]))
        except Exception as error:  # OmegaConf's, and yaml's for the value
            raise HeadfitError(f"setting {override}: {_first_lines(error)}") from None
    stages = given.get("stages")
    known = raw.get("stages")
    if isinstance(stages, DictConfig) and isinstance(known, DictConfig):
        for name in stages:
            if name not in known:
                close = difflib.get_close_matches(str(name), list(map(str, known)), n=1)
                hint = f" Did you mean {close[0]}?" if close else ""
                raise HeadfitError(f"stages.{name!s}: no such stage; there are {', '.join(map(str, known))}.{hint}")
    return given


def _merged(first: DictConfig, second: DictConfig) -> DictConfig:
    merged = OmegaConf.merge(first, second)
    assert isinstance(merged, DictConfig)
    return merged


def _typed(raw: DictConfig, where: str) -> tuple[FitConfig, RunArgs]:
    """Settings as dataclasses, defaults of stages filled in."""
    try:
        defaults, stages = raw.pop("defaults", None) or {}, raw.get("stages") or {}
        _require_names(defaults, "defaults", where)
        _require_names(stages, "stages", where)
        for name, stage in stages.items():
            _require_names(stage or {}, f"stage {name}", where)
            raw["stages"][name] = OmegaConf.merge(defaults, stage or {})
        of_run = {field.name for field in fields(RunArgs)}
        numbers, places = ({k: v for k, v in raw.items() if (k in of_run) is run} for run in (False, True))
        config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(FitConfig), numbers))
        args = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(RunArgs), places))
    except OmegaConfBaseException as error:
        raise HeadfitError(f"{where}: {_first_lines(error)}") from None
    assert isinstance(config, FitConfig) and isinstance(args, RunArgs)
    return config, args


def _require_names(value: object, what: str, where: str) -> None:
    if not isinstance(value, DictConfig | dict):
        raise HeadfitError(f"{where}: {what} must hold settings by name, like `steps: 50`, not {value!r}")


def _first_lines(error: Exception) -> str:
    """What is wrong and which key: OmegaConf explains it in its first two lines."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines[:2])


def flat_settings(config: FitConfig) -> dict[str, str | int | float | bool]:
    """Every setting by its dotted name, as `--set` takes it; a list is one text with commas."""
    found: dict[str, str | int | float | bool] = {}
    todo: list[tuple[str, object]] = list(asdict(config).items())
    for name, value in todo:
        if isinstance(value, dict):
            todo += [(f"{name}.{key}", inner) for key, inner in value.items()]
        elif isinstance(value, (str, int, float, bool)):
            found[name] = value
        else:
            found[name] = ",".join(map(str, value if isinstance(value, list) else [value]))
    return found
