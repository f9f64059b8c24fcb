"""Reading a .glb and playing its animation, by the text of the glTF 2.0 specification and without headfit."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

DTYPES = {5121: "u1", 5125: "<u4", 5126: "<f4"}
SIZES = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}


class Glb:
    """The JSON of a .glb and its accessors."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        magic, version, length, size, kind = struct.unpack("<4sIII4s", data[:20])
        assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
        self.json: dict[str, Any] = json.loads(data[20 : 20 + size])
        self.buffer = data[28 + size :]

    def _view(self, index: int, dtype: str) -> np.ndarray:
        view = self.json["bufferViews"][index]
        return np.frombuffer(self.buffer[view["byteOffset"] : view["byteOffset"] + view["byteLength"]], dtype)

    def bytes_of(self, view: int) -> bytes:
        return self._view(view, "u1").tobytes()

    def accessor(self, index: int) -> np.ndarray:
        entry = self.json["accessors"][index]
        dtype, size = DTYPES[entry["componentType"]], SIZES[entry["type"]]
        values = np.zeros((entry["count"], size), dtype)
        if "bufferView" in entry:
            values[:] = self._view(entry["bufferView"], dtype).reshape(-1, size)
        if "sparse" in entry:
            rows = self._view(entry["sparse"]["indices"]["bufferView"], "<u4")
            values[rows] = self._view(entry["sparse"]["values"]["bufferView"], dtype).reshape(-1, size)
        return values

    def node(self, name: str, **has: bool) -> dict[str, Any]:
        """The node of a name that has or lacks keys."""
        (found,) = [n for n in self.json["nodes"] if n["name"] == name and all((k in n) == v for k, v in has.items())]
        return found

    def play(self, key: int) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray], float]:
        """At a key of the animation: global matrices `[4,4]` by node, weights of morph targets by node, seconds."""
        nodes = [dict(node) for node in self.json["nodes"]]
        weights: dict[int, np.ndarray] = {}
        (animation,) = self.json["animations"]
        times = np.zeros(0)
        for channel in animation["channels"]:
            sampler, target = animation["samplers"][channel["sampler"]], channel["target"]
            times = self.accessor(sampler["input"])[:, 0]
            value = self.accessor(sampler["output"]).reshape(len(times), -1)[key]
            if target["path"] == "weights":
                weights[target["node"]] = value
            else:
                nodes[target["node"]][target["path"]] = value
        matrices: dict[int, np.ndarray] = {}

        def visit(index: int, above: np.ndarray) -> None:
            node = nodes[index]
            own = np.eye(4)
            own[:3, :3] = Rotation.from_quat(node.get("rotation", [0, 0, 0, 1])).as_matrix() * node.get(
                "scale", [1] * 3
            )
            own[:3, 3] = node.get("translation", [0, 0, 0])
            matrices[index] = above @ own
            for child in node.get("children", []):
                visit(child, matrices[index])

        for root in self.json["scenes"][self.json["scene"]]["nodes"]:
            visit(root, np.eye(4))
        return matrices, weights, float(times[key])

    def vertices(self, mesh_node: str, key: int) -> np.ndarray:
        """Vertices `[S,3]` of a skinned mesh at a key of the animation."""
        matrices, weights, _ = self.play(key)
        node = self.node(mesh_node, mesh=True)
        primitive = self.json["meshes"][node["mesh"]]["primitives"][0]
        attributes = {name: self.accessor(index) for name, index in primitive["attributes"].items()}
        shape = attributes["POSITION"].astype(float)
        for weight, target in zip(weights.get(self.json["nodes"].index(node), []), primitive["targets"], strict=True):
            shape += weight * self.accessor(target["POSITION"])
        skin = self.json["skins"][node["skin"]]
        inverse = self.accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4).swapaxes(1, 2)
        joints = np.stack([matrices[joint] for joint in skin["joints"]]) @ inverse
        moved = np.einsum("vk,vkij->vij", attributes["WEIGHTS_0"], joints[attributes["JOINTS_0"]])
        return (moved[:, :3, :3] @ shape[..., None])[..., 0] + moved[:, :3, 3]
