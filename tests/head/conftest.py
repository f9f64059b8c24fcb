"""Small heads in other makers' layouts, written from the default head's own cage under a made-up identity."""

from __future__ import annotations

import pickle
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial import KDTree

from headfit.head import HeadModel, load

SKIN = ("skin",)
EYES = ("left_eye", "right_eye")


@dataclass
class Sculpture:
    """A head as a sculptor would hand it over: metres, our frame. parts: faces per name of the default head's part;
    landmarks: nearest vertex of the skin to each of the 68; points: where they truly lie; jaw: how far the jaw moves
    each vertex."""

    vertices: np.ndarray
    parts: dict[str, np.ndarray]
    landmarks: np.ndarray
    points: np.ndarray
    jaw: np.ndarray

    def cut(self, *names: str) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], np.ndarray]:
        """(vertex ids, faces, parts, landmarks) of some parts as a mesh of its own."""
        faces = np.concatenate([self.parts[name] for name in names])
        ids, index = np.unique(faces, return_inverse=True)
        renumber = np.full(len(self.vertices), -1)
        renumber[ids] = np.arange(len(ids))
        parts = {name: renumber[self.parts[name]] for name in names}
        return ids, index.reshape(-1, 3), parts, renumber[self.landmarks]


@pytest.fixture(scope="session")
def sculpture() -> Sculpture:
    head = load("default")
    identity = 0.6 * torch.randn(len(head.identity_basis), generator=torch.Generator().manual_seed(5))
    fine = head.pose(identity=identity).double().numpy()
    cage = (head.mean + torch.tensordot(identity, head.identity_basis, 1)).double().numpy()
    neutral = head.rest().double().numpy()
    fine_centres = neutral[head.faces.long().numpy()].mean(1)
    fine_part = np.array(head.part_names)[head.face_parts.numpy()]
    faces = head.cage_faces.long().numpy()
    # Quads are two triangles in a row; their middle tells which part of the fine mesh they became. Solids, which are
    # not subdivided, come last and lie close to what surrounds them: they are looked up among themselves.
    part = np.empty(len(faces), dtype=fine_part.dtype)
    # The tongue, which lies on the floor of the mouth, is known by its vertices.
    solid = np.array([name.endswith(("teeth", "gums", "eye")) for name in fine_part])
    tongue = (head.cage_rigid_part.numpy()[faces] == head.rigid_part_names.index("tongue")).all(1)
    other = np.arange(len(faces)) >= len(faces) - solid.sum()
    middle = head.mean.double().numpy()[faces].reshape(-1, 6, 3).mean(1).repeat(2, axis=0)
    for rows, pool in (
        (tongue, fine_part == "tongue"),
        (other, solid),
        (~tongue & ~other, ~solid & (fine_part != "tongue")),
    ):
        part[rows] = fine_part[pool][KDTree(fine_centres[pool]).query(middle[rows])[1]]
    parts = {str(name): faces[part == name] for name in head.part_names}
    points = head.landmarks(torch.from_numpy(fine)).numpy()
    skin = np.unique(parts["skin"])
    jaw = head.skinning_weights[:, 1 + head.joint_names.index("jaw")].double().numpy()
    return Sculpture(cage, parts, skin[KDTree(cage[skin]).query(points)[1]], points, jaw)


def smooth_shapes(vertices: np.ndarray, count: int, size: float, seed: int = 0) -> np.ndarray:
    """Smooth displacements `[count,V,3]` of about `size` metres."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(count, 3)) * 20
    return size * np.sin(np.einsum("kd,vd->kv", waves, vertices))[..., None] * rng.normal(size=(count, 1, 3))


# ---- FLAME ------------------------------------------------------------------------------------------------------


@dataclass
class FlameFiles:
    data: dict[str, np.ndarray]
    sculpture: Sculpture
    landmarks: np.ndarray


@pytest.fixture(scope="session")
def flame(sculpture: Sculpture) -> FlameFiles:
    """The keys of a FLAME model, with 4 identity components, 100 expressions and eyeballs, but no mouth."""
    ids, faces, parts, landmarks = sculpture.cut("skin", *EYES)
    vertices = sculpture.vertices[ids]
    count = len(vertices)
    left, right, jaw = np.zeros(count), np.zeros(count), sculpture.jaw[ids].copy()
    left[np.unique(parts["left_eye"])] = 1
    right[np.unique(parts["right_eye"])] = 1
    height = vertices[:, 1]
    lip = vertices[landmarks[62], 1]
    jaw[(left + right) > 0] = 0
    neck = np.clip((height - height.min()) / 0.05, 0, 1) * (1 - jaw - left - right)
    weights = np.stack([1 - neck - jaw - left - right, neck, jaw, left, right], 1)
    regressor = np.zeros((5, count))
    hinge = (np.abs(vertices[:, 2]) < 0.02) & (height > lip) & (height < lip + 0.05)  # before the ears
    for row, members in enumerate([height < height.min() + 0.01, height < height.min() + 0.05, hinge, left, right]):
        regressor[row] = np.asarray(members, float) / np.sum(members)
    rng = np.random.default_rng(1)
    shapes = np.concatenate([smooth_shapes(vertices, 4, 0.003), smooth_shapes(vertices, 100, 0.0005, seed=2)])
    data = {
        "v_template": vertices,
        "f": faces.astype(np.uint32),
        "shapedirs": np.moveaxis(shapes, 0, 2),
        "posedirs": rng.normal(size=(count, 3, 36)) * 1e-3,
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], dtype=np.int64),
    }
    return FlameFiles(data, sculpture, landmarks)


class Ch:
    """A stand-in for chumpy's array class, with the state that a pickle of the real one holds."""

    def __init__(self, x: np.ndarray) -> None:
        self.x, self._dirty_vars, self._itr, self._depends_on_deps = x, {"x"}, None, {}


Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"


@contextmanager
def chumpy_installed() -> Iterator[type]:
    module = types.ModuleType("chumpy.ch")
    module.Ch = Ch  # type: ignore[attr-defined]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "chumpy", types.ModuleType("chumpy"))
        patch.setitem(sys.modules, "chumpy.ch", module)
        yield Ch


@pytest.fixture
def chumpy() -> Iterator[type]:
    with chumpy_installed() as array_class:
        yield array_class


@pytest.fixture(scope="session")
def flame_2020_bytes(flame: FlameFiles) -> bytes:
    """As FLAME 2020 is: protocol 2, chumpy arrays, a sparse regressor. Chumpy is there only while it is written."""
    content: dict[str, object] = dict(flame.data)
    for key in ("v_template", "shapedirs"):
        content[key] = Ch(flame.data[key])
    content["J_regressor"] = sp.csc_matrix(flame.data["J_regressor"])
    content |= {"bs_style": "lbs", "bs_type": "lrotmin"}
    with chumpy_installed():
        return pickle.dumps(content, protocol=2)


@pytest.fixture
def flame_2020(flame_2020_bytes: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(flame_2020_bytes)
    return path


@pytest.fixture(scope="session")
def flame_head(flame_2020_bytes: bytes, tmp_path_factory: pytest.TempPathFactory) -> HeadModel:
    """What `load` makes of that file; shared, so not to be changed."""
    path = tmp_path_factory.mktemp("flame") / "generic_model.pkl"
    path.write_bytes(flame_2020_bytes)
    return load(path)


@pytest.fixture(scope="session")
def write_embedding(flame: FlameFiles) -> Callable[..., None]:
    """Writes `landmark_embedding.npy` into a folder as FLAME's users have it, with the first `count` landmarks."""
    faces = flame.data["f"].astype(np.int64)
    face = np.array([int((faces == vertex).any(1).argmax()) for vertex in flame.landmarks])
    bary = (faces[face] == flame.landmarks[:, None]).astype(float)

    def write(folder: Path, count: int = 68) -> None:
        table = {
            "full_lmk_faces_idx": face[None, :count],
            "full_lmk_bary_coords": bary[None],
            "dynamic_lmk_faces_idx": torch.zeros(79, 17, dtype=torch.int64),  # DECA's table holds tensors
        }
        np.save(folder / "landmark_embedding.npy", np.array(table, dtype=object), allow_pickle=True)

    return write


# ---- GNM --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def gnm_arrays(sculpture: Sculpture) -> dict[str, np.ndarray]:
    """The keys of a GNM Head npz with 3 identity components, 4 expressions, and the four joints; some vertex groups."""
    names = ("skin", "mouth_cavity", "upper_teeth", "upper_gums", "lower_teeth", "lower_gums", "tongue", *EYES)
    ids, faces, parts, _ = sculpture.cut(*names)
    vertices = sculpture.vertices[ids]
    groups = {
        "skin": ["skin", "mouth_cavity"],
        "mouth_sock": ["mouth_cavity"],
        "upper_teeth_and_gums": ["upper_teeth", "upper_gums"],
        "lower_teeth_and_gums": ["lower_teeth", "lower_gums"],
        "gums": ["upper_gums", "lower_gums"],
        "tongue": ["tongue"],
        "left_eye": ["left_eye"],
        "right_eye": ["right_eye"],
    }
    members = np.zeros((len(groups), len(vertices)), np.float32)
    for row, pieces in enumerate(groups.values()):
        for piece in pieces:
            members[row, np.unique(parts[piece])] = 1
    eyes = [np.unique(parts[name]) for name in EYES]
    weights = np.zeros((4, len(vertices)), np.float32)
    weights[1] = np.clip((vertices[:, 1] - vertices[:, 1].min()) / 0.05, 0, 1)
    weights[1, np.concatenate(eyes)] = 0
    weights[2, eyes[0]] = weights[3, eyes[1]] = 1
    weights[0] = 1 - weights[1:].sum(0)
    low = np.array([0, vertices[:, 1].min(), 0])
    shift = np.zeros((3, 4, 3), np.float32)
    shift[:, 2:, 0] = 0.001
    tile = np.random.default_rng(0).uniform(size=(len(faces), 3, 2))  # every component in one and the same square
    return {
        "version": np.array("3.0"),
        "variant": np.array("head"),
        "template_vertex_positions": vertices.astype(np.float32),
        "vertex_identity_basis": smooth_shapes(vertices, 3, 0.003).astype(np.float32),
        "expression_basis": smooth_shapes(vertices, 4, 0.001, seed=3).astype(np.float32),
        "skinning_weights": weights,
        "pose_correctives_regressor": np.zeros((36, 3 * len(vertices)), np.float32),
        "triangles": faces.astype(np.int32),
        "triangle_uvs": tile.astype(np.float32),
        "template_joint_positions": np.stack(
            [low, low + np.array([0, 0.04, 0]), *(vertices[eye].mean(0) for eye in eyes)]
        ).astype(np.float32),
        "joint_identity_basis": shift,
        "joint_parent_indices": np.array([-1, 0, 1, 1]),
        "joint_names": np.array(["neck", "head", "left_eye", "right_eye"]),
        "identity_names": np.array([f"head_{i:03d}" for i in range(3)]),
        "expression_names": np.array([f"lower_face_region_{i:03d}" for i in range(4)]),
        "vertex_groups": members,
        "vertex_group_names": np.array(list(groups)),
    }


@pytest.fixture(scope="session")
def gnm_head(gnm_arrays: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> HeadModel:
    """What `load` makes of it; shared, so not to be changed."""
    path = tmp_path_factory.mktemp("gnm") / "gnm_head.npz"
    np.savez(path, **gnm_arrays)
    return load(path)


# ---- OBJ --------------------------------------------------------------------------------------------------------


def obj_text(vertices: np.ndarray, faces: list[list[int]], uvs: bool = False) -> str:
    """An OBJ file; with `uvs`, one per vertex: its place seen from the front."""
    lines = [f"v {x:.9f} {y:.9f} {z:.9f}" for x, y, z in vertices.tolist()]
    if uvs:
        low, high = vertices.min(0), vertices.max(0)
        flat = (vertices - low) / (high - low)
        lines += [f"vt {u:.6f} {v:.6f}" for u, v, _ in flat.tolist()]
    corner = "{0}/{0}" if uvs else "{0}"
    lines += ["f " + " ".join(corner.format(v + 1) for v in face) for face in faces]
    return "\n".join(lines) + "\n"


def quads(faces: np.ndarray) -> list[list[int]]:
    """Pairs of triangles (a, b, c), (a, c, d) as quads; others as they are."""
    polygons: list[list[int]] = []
    for face in faces.tolist():
        if polygons and len(polygons[-1]) == 3 and [polygons[-1][0], polygons[-1][2]] == face[:2]:
            polygons[-1].append(face[2])
        else:
            polygons.append(face)
    return polygons


@pytest.fixture(scope="session")
def ict_folder(sculpture: Sculpture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The layout of ICT-FaceKit: 26,719 vertices in its ranges (most of them unused), quads, centimetres."""
    from headfit.head.importers.ict import LANDMARKS, NEUTRAL, VERTICES

    ranges = {
        "skin": (0, 9409),
        "mouth_cavity": (11248, 13294),
        "left_socket": (13294, 13678),
        "right_socket": (13678, 14062),
        "upper_gums": (14062, 15000),
        "lower_gums": (15000, 16000),
        "tongue": (16000, 17039),
        "upper_teeth": (17039, 19247),
        "lower_teeth": (19247, 21451),
        "left_eye": (21451, 23021),
        "right_eye": (23021, 24591),
    }
    number = np.full(len(sculpture.vertices), -1)
    number[sculpture.landmarks] = LANDMARKS
    for name, (first, last) in ranges.items():
        ids = np.unique(sculpture.parts[name])
        ids = ids[number[ids] < 0]  # borders belong to the part that came first
        free = np.setdiff1d(np.arange(first, last), LANDMARKS)
        assert len(ids) <= len(free), name
        number[ids] = free[: len(ids)]
    vertices = np.zeros((VERTICES, 3))
    vertices[number[number >= 0]] = sculpture.vertices[number >= 0]
    faces = [quad for name in ranges for quad in quads(number[sculpture.parts[name]])]
    overlay = [[24591, 24592, 24593], [26716, 26717, 26718]]
    folder = tmp_path_factory.mktemp("ict") / "FaceXModel"
    folder.mkdir()
    (folder / NEUTRAL).write_text("mtllib none.mtl\n" + obj_text(vertices * 100, faces + overlay))
    for index, shape in enumerate(smooth_shapes(vertices, 2, 0.002)):
        (folder / f"identity{index:03d}.obj").write_text(obj_text((vertices + shape) * 100, []))
    for name, shift in (("jawOpen", [0, -0.02, 0]), ("eyeBlink_L", [0, -0.001, 0]), ("eyeLookIn_L", [0.002, 0, 0])):
        (folder / f"{name}.obj").write_text(obj_text((vertices + shift) * 100, []))
    return folder


@pytest.fixture(scope="session")
def ict_head(ict_folder: Path) -> HeadModel:
    """What `load` makes of it; shared, so not to be changed."""
    return load(ict_folder)


@pytest.fixture
def mesh_yaml(sculpture: Sculpture, tmp_path: Path) -> Path:
    """A mesh in millimetres, z up and -y front, with eyes as materials, two shapes, landmarks, and joints of which one
    has no weights."""
    ids, _, parts, landmarks = sculpture.cut("skin", *EYES)
    vertices = sculpture.vertices[ids]

    def to_file(points: np.ndarray) -> np.ndarray:  # ours: x left, y up, z front; the file's: x left, -y front, z up
        return 1000 * np.stack([points[:, 0], -points[:, 2], points[:, 1]], 1)

    body = obj_text(to_file(vertices), [])
    for name in ("skin", *EYES):
        body += f"usemtl M_{name}\n" + "".join(f"f {a + 1} {b + 1} {c + 1}\n" for a, b, c in parts[name].tolist())
    (tmp_path / "head.obj").write_text(body)
    (tmp_path / "shapes").mkdir()
    for name, shape in zip(("jawOpen", "mouthSmile_L"), smooth_shapes(vertices, 2, 0.004), strict=True):
        (tmp_path / "shapes" / f"{name}.obj").write_text(obj_text(to_file(vertices + shape), []))
    (tmp_path / "landmarks.json").write_text(str(landmarks.tolist()))
    pivots = {name: to_file(vertices[np.unique(parts[name])].mean(0)[None])[0].tolist() for name in EYES}
    path = tmp_path / "head.yaml"
    path.write_text(
        f"""
mesh: head.obj
units: mm
up: z
front: -y
blendshapes: shapes
labels:
  left_eye: {{material: M_left_eye}}
  right_eye: {{material: M_right_eye}}
landmarks: landmarks.json
joints:
  neck: {{pivot: [0, 0, -100]}}
  left_eye: {{pivot: {pivots["left_eye"]}, parent: neck, labels: [left_eye]}}
  right_eye: {{pivot: {pivots["right_eye"]}, parent: neck, labels: [right_eye]}}
"""
    )
    return path
