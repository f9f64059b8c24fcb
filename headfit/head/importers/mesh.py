"""Any mesh as a head: a YAML file names an OBJ, PLY or GLB and describes its parts (docs/other-heads.md)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from headfit.capture.labels import native_name
from headfit.errors import HeadfitError
from headfit.files import failures_named, read_text, read_yaml
from headfit.head.importers.imported import ImportedHead, Joint, unit_name
from headfit.head.importers.mesh_files import SUFFIXES, RawMesh, read_mesh, read_positions
from headfit.head.importers.mouth_interior import attach
from headfit.head.importers.transfer import transfer_labels
from headfit.types import Float, Int, Text

UNITS = {"m": 1.0, "cm": 0.01, "mm": 0.001}
KEYS = ("mesh", "units", "up", "front", "blendshapes", "identity", "labels", "landmarks", "joints", "interior")
JOINT_KEYS = ("pivot", "parent", "weights", "labels")
LABEL_KEYS = ("material", "vertices", "faces")


def read(path: Path) -> ImportedHead:
    """The head that a YAML file describes. Raises HeadfitError, naming the file and the key."""
    text = _yaml(path)
    _known(text, KEYS, str(path))
    if "mesh" not in text:
        raise HeadfitError(f"{path}: lacks the key mesh")
    raw = read_mesh(path.parent / str(text["mesh"]))
    frame = _frame(text, path)
    vertices, faces = raw.vertices @ frame.T, raw.faces
    is_obj = Path(str(text["mesh"])).suffix.lower() == ".obj"
    welded = np.arange(len(vertices)) if is_obj else _weld(raw.vertices)
    faces = welded[faces]
    head = ImportedHead(vertices, faces, _labels(text, raw, faces, path), raw.corner_uvs)
    head.units, head.expression = _shapes(text, "blendshapes", raw.vertices, frame, path)
    head.lowest = np.zeros(len(head.units))
    head.identity = _shapes(text, "identity", raw.vertices, frame, path)[1]
    head.landmarks = _landmarks(text, head, welded, path)
    head.joints = _joints(text, head, frame, path)
    head.labels = transfer_labels(head)
    if text.get("interior", "none") not in ("none", "default"):
        raise HeadfitError(f"{path}: interior: {text['interior']!r}; expected none or default")
    if text.get("interior") == "default":
        if head.landmarks is None:
            raise HeadfitError(f"{path}: interior: default needs landmarks, to know where the mouth is")
        head = attach(head)
    return head


def _yaml(path: Path) -> dict[str, Any]:
    with failures_named(path):
        text = read_yaml(path)
    if not isinstance(text, dict):
        raise HeadfitError(f"{path}: expected keys and values, among them mesh")
    return text


def _known(given: Any, keys: tuple[str, ...], where: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise HeadfitError(f"{where}: expected keys and values ({', '.join(keys)})")
    unknown = sorted(str(key) for key in given if key not in keys)
    if unknown:
        raise HeadfitError(f"{where}: unknown key {unknown[0]}; known: {', '.join(keys)}")
    return given


def _frame(text: dict[str, Any], path: Path) -> Float:
    """The matrix `[3,3]` from the file's units and axes to metres, x left, y up, z front."""
    units = text.get("units", "m")
    scale = UNITS.get(units) if isinstance(units, str) else float(units) if isinstance(units, int | float) else None
    if scale is None or not scale > 0:
        raise HeadfitError(f"{path}: units: {units!r}; expected m, cm, mm, or metres per unit")
    up, front = (_axis(text.get(key, default), f"{path}: {key}") for key, default in (("up", "y"), ("front", "z")))
    if up @ front:
        raise HeadfitError(f"{path}: up and front lie along one axis")
    return scale * np.stack([np.cross(up, front), up, front])


def _axis(name: Any, where: str) -> Float:
    sign, letter = (-1.0, str(name)[1:]) if str(name).startswith("-") else (1.0, str(name).removeprefix("+"))
    if letter not in ("x", "y", "z"):
        raise HeadfitError(f"{where}: {name!r}; expected x, y, z, -x, -y or -z")
    return sign * np.eye(3)["xyz".index(letter)]


def _weld(vertices: Float) -> Int:
    """For each vertex, the first vertex at its position `[V]`: undoes the splitting of vertices along UV seams."""
    _, first, place = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    return first[place.ravel()]


def _ids(given: Any, count: int, where: str, folder: Path) -> Int:
    """Indices `[N]` from a list, whose entries may be pairs [first, last], or from a text file of numbers."""
    try:
        if isinstance(given, str):
            given = [int(word) for word in read_text(folder / given).replace(",", " ").split()]
        ranges = [(item, item) if isinstance(item, int) else (int(item[0]), int(item[1])) for item in given]
        ids = np.concatenate([np.arange(first, last + 1) for first, last in ranges]).astype(np.int64)
    except (OSError, ValueError, TypeError, IndexError) as error:
        raise HeadfitError(f"{where}: expected numbers, pairs [first, last], or a file of numbers ({error})") from error
    if ids.min(initial=0) < 0 or ids.max(initial=0) >= count:
        raise HeadfitError(f"{where}: numbers must lie between 0 and {count - 1}")
    return ids


def _labels(text: dict[str, Any], raw: RawMesh, faces: Int, path: Path) -> Text:
    labels = np.full(len(faces), "skin", dtype="<U16")
    for name, given in (text.get("labels") or {}).items():
        where = f"{path}: labels: {name}"
        label = native_name(str(name))
        rule = _known(given, LABEL_KEYS, where)
        chosen = np.zeros(len(faces), dtype=bool)
        if "material" in rule:
            wanted = {rule["material"]} if isinstance(rule["material"], str) else set(rule["material"])
            chosen |= np.array([bool(region & wanted) for region in raw.regions])
        if "vertices" in rule:
            members = np.zeros(len(raw.vertices), dtype=bool)
            members[_ids(rule["vertices"], len(raw.vertices), f"{where}: vertices", path.parent)] = True
            chosen |= members[raw.faces].all(1)
        if "faces" in rule:
            chosen[_ids(rule["faces"], len(faces), f"{where}: faces", path.parent)] = True
        if not chosen.any():
            raise HeadfitError(f"{where}: no face of {text['mesh']} is in it")
        labels[chosen] = label
    return labels


def _shapes(text: dict[str, Any], key: str, neutral: Float, frame: Float, path: Path) -> tuple[list[str], Float]:
    """Names and displacements `[N,V,3]` (metres) of the meshes in the folder under `key`, sorted by name."""
    if not text.get(key):
        return [], np.zeros((0, *neutral.shape))
    folder = path.parent / str(text[key])
    files = sorted(file for file in folder.glob("*") if file.suffix.lower() in SUFFIXES)
    mesh = (path.parent / str(text["mesh"])).resolve()
    files = [file for file in files if file.resolve() != mesh]
    if not files:
        raise HeadfitError(f"{path}: {key}: no mesh in {folder}")
    moved = [(read_positions(file, len(neutral)) - neutral) @ frame.T for file in files]
    return [unit_name(file.stem) for file in files], np.stack(moved)


def _landmarks(text: dict[str, Any], head: ImportedHead, welded: Int, path: Path) -> tuple[Int, Float] | None:
    """Vertices `[68,3]` and weights `[68,3]` of the landmarks, from 68 vertex numbers or 68 rows [face, b0, b1, b2], in
    the YAML file itself or in a YAML or JSON file that it names."""
    given = text.get("landmarks")
    if given is None:
        return None
    where = f"{path}: landmarks"
    if isinstance(given, str):
        with failures_named(path.parent / given):
            given = read_yaml(path.parent / given)
    try:
        rows = np.array(given, dtype=np.float64)
    except (TypeError, ValueError):
        rows = np.zeros(0)
    if rows.shape not in ((68,), (68, 4)):
        raise HeadfitError(f"{where}: expected 68 vertex numbers, or 68 rows [face, b0, b1, b2], in iBUG order")
    if rows.ndim == 1:
        vertices = welded[_ids([int(v) for v in rows], len(head.vertices), where, path.parent)]
        used = np.unique(head.faces)
        if not np.isin(vertices, used).all():
            raise HeadfitError(f"{where}: vertex {vertices[~np.isin(vertices, used)][0]} belongs to no face")
        return np.repeat(vertices[:, None], 3, 1), np.tile([1.0, 0.0, 0.0], (68, 1))
    faces = _ids([int(f) for f in rows[:, 0]], len(head.faces), where, path.parent)
    return head.faces[faces], rows[:, 1:]


def _joints(text: dict[str, Any], head: ImportedHead, frame: Float, path: Path) -> list[Joint]:
    """Joints in the order of the file. One without weights or labels moves its child joints but no vertices itself."""
    joints: list[Joint] = []
    for name, given in (text.get("joints") or {}).items():
        where = f"{path}: joints: {name}"
        rule = _known(given, JOINT_KEYS, where)
        try:
            pivot = frame @ np.array(rule["pivot"], dtype=np.float64).reshape(3)
        except (KeyError, TypeError, ValueError) as error:
            raise HeadfitError(f"{where}: pivot: expected three numbers, in the mesh's units and axes") from error
        names = [joint.name for joint in joints]
        parent = rule.get("parent")
        if parent is not None and parent not in names:
            raise HeadfitError(f"{where}: parent {parent}: no joint of that name precedes it")
        weights = np.zeros(len(head.vertices))
        if "labels" in rule:
            weights[head.vertices_of(*[native_name(str(label)) for label in rule["labels"]])] = 1.0
        if "weights" in rule:
            weights = _weights(path.parent / str(rule["weights"]), len(head.vertices), where)
        follow = np.zeros((len(head.identity), 3))
        if weights.any() and len(head.identity):
            follow = np.einsum("v,kvd->kd", weights / weights.sum(), head.identity)
        joints.append(Joint(str(name), names.index(parent) if parent is not None else -1, pivot, follow, weights))
    total = sum((joint.weights for joint in joints), np.zeros(len(head.vertices)))
    if total.max(initial=0) > 1 + 1e-6:
        raise HeadfitError(f"{path}: joints: the weights at vertex {int(total.argmax())} add up to more than 1")
    return joints


def _weights(path: Path, count: int, where: str) -> Float:
    try:
        weights = np.load(path, allow_pickle=False) if path.suffix == ".npy" else np.loadtxt(path)
    except (OSError, ValueError) as error:
        raise HeadfitError(f"{where}: weights: {error}") from error
    if weights.shape != (count,) or not np.isfinite(weights).all() or weights.min() < 0:
        raise HeadfitError(f"{where}: weights: expected {count} numbers from 0 to 1 in {path.name}")
    return weights.astype(np.float64)
