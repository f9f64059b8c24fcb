"""The exact layouts in which others keep calibrations, written from our cameras."""

import json
import struct
from pathlib import Path

import numpy as np

from headfit.capture.camera import Camera

GL = np.diag([1.0, -1.0, -1.0])


def pose(camera: Camera) -> np.ndarray:
    """World to camera, 4x4."""
    return np.vstack([np.c_[camera.R, camera.t], [0, 0, 0, 1]])


def c2w(camera: Camera, gl_axes: bool = False) -> np.ndarray:
    """Camera to world, 4x4."""
    matrix = np.linalg.inv(pose(camera))
    if gl_axes:
        matrix[:3, :3] = matrix[:3, :3] @ GL
    return matrix


def quaternion(R: np.ndarray) -> np.ndarray:
    """w, x, y, z: the eigenvector of Bar-Itzhack's symmetric matrix."""
    a = R - R.T
    v = np.array([a[2, 1], a[0, 2], a[1, 0]])
    M = np.empty((4, 4))
    M[0, 0], M[0, 1:], M[1:, 0], M[1:, 1:] = np.trace(R), v, v, R + R.T - np.trace(R) * np.eye(3)
    return np.linalg.eigh(M)[1][:, -1]


def nersemble(folder: Path, cameras: list[Camera], per_camera: bool = False) -> Path:
    """Version 1; `per_camera`: like the benchmark."""
    K = {c.id: c.K.tolist() for c in cameras} if per_camera else cameras[0].K.tolist()
    values = {"world_2_cam": {c.id: pose(c).tolist() for c in cameras}, "intrinsics": K}
    file = folder / "camera_params.json"
    file.write_text(json.dumps(values))
    return file


def transforms(folder: Path, cameras: list[Camera], as_text: bool = False) -> Path:
    """nerfstudio's; `as_text`: numbers as strings."""
    frames = []
    for c in cameras:
        k1, k2, p1, p2, k3 = c.lens.coefficients[:5]
        frame = {"fl_x": c.K[0, 0], "fl_y": c.K[1, 1], "cx": c.K[0, 2], "cy": c.K[1, 2], "w": c.width, "h": c.height}
        frame |= {"k1": k1, "k2": k2, "k3": k3, "k4": 0.0, "p1": p1, "p2": p2}
        frame = {key: f"{float(value)!r}" if as_text else value for key, value in frame.items()}
        frames.append(frame | {"file_path": f"images/{c.id}.png", "transform_matrix": c2w(c, True).tolist()})
    file = folder / "transforms.json"
    file.write_text(json.dumps({"camera_model": "OPENCV", "frames": frames}))
    return file


def vhap(folder: Path, cameras: list[Camera], timesteps: int = 2, by_hand: bool = False) -> Path:
    """VHAP's export; `by_hand`: cy from the top, and without the keys that only VHAP's writer adds."""
    frames = []
    for timestep in range(timesteps):
        for index, c in enumerate(cameras):
            name = f"{timestep:05d}_{index:02d}.png"
            frame = {"timestep_index": timestep, "camera_index": index, "file_path": f"images/{name}"}
            frame |= {"fl_x": c.K[0, 0], "fl_y": c.K[1, 1], "cx": c.K[0, 2], "w": c.width, "h": c.height}
            frame |= {"cy": c.K[1, 2] if by_hand else c.height - c.K[1, 2], "transform_matrix": c2w(c, True).tolist()}
            frame |= {} if by_hand else {"timestep_id": f"frame_{timestep:05d}", "fg_mask_path": f"fg_masks/{name}"}
            frames.append(frame)
    file = folder / "transforms.json"
    file.write_text(json.dumps({"frames": frames}))
    return file


def colmap(folder: Path, cameras: list[Camera], model: str = "OPENCV", frames: int = 1) -> Path:
    """A text model; the images of more than one frame are in a folder per camera."""
    sensors, images = ["# Camera list"], ["# Image list", "# Number of images"]
    for index, c in enumerate(cameras, start=1):
        params = " ".join(map(repr, map(float, colmap_params(c, model))))
        sensors.append(f"{index} {model} {c.width} {c.height} {params}")
        q = quaternion(c.R)
        for frame in range(frames):
            name = f"{c.id}.jpg" if frames == 1 else f"{c.id}/{frame:04d} b.jpg"
            values = " ".join(map(repr, map(float, [*q, *c.t])))
            images += [f"{len(images)} {values} {index} {name}", "" if index % 2 else "1.5 2.5 -1"]
    (folder / "cameras.txt").write_text("\n".join(sensors) + "\n")
    (folder / "images.txt").write_text("\n".join(images) + "\n")
    return folder


def colmap_params(camera: Camera, model: str) -> list[float]:
    """The parameters of a model with two focal lengths."""
    K, dist = camera.K, camera.lens.coefficients
    if model == "FULL_OPENCV":
        return [K[0, 0], K[1, 1], K[0, 2], K[1, 2], *dist[:8]]
    return [K[0, 0], K[1, 1], K[0, 2], K[1, 2], *(dist[:4] if model != "PINHOLE" else [])]


def colmap_binary(folder: Path, cameras: list[Camera], frames: int = 2, turn: float = 0.0) -> Path:
    """A binary model with one rig of all cameras (3.12 and later), which turns by `turn` radians per frame."""
    numbers = {"cameras": len(cameras), "images": len(cameras) * frames, "rigs": 1, "frames": frames}
    out = {name: [struct.pack("<Q", count)] for name, count in numbers.items()}
    rig = struct.pack("<IIiI", 1, len(cameras), 0, 1)
    reference = pose(cameras[0])
    for index, c in enumerate(cameras, start=1):
        out["cameras"].append(struct.pack("<IiQQ8d", index, 4, c.width, c.height, *colmap_params(c, "OPENCV")))
        if index > 1:
            relative = pose(c) @ np.linalg.inv(reference)
            rig += struct.pack("<iIB7d", 0, index, 1, *quaternion(relative[:3, :3]), *relative[:3, 3])
    out["rigs"].append(rig)
    for frame in range(frames):
        angle = turn * frame
        moved = np.eye(4)
        moved[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        base = reference @ moved
        data = b"".join(struct.pack("<iIQ", 0, i, 10 * frame + i) for i in range(1, len(cameras) + 1))
        head = struct.pack("<II7dI", frame + 1, 1, *quaternion(base[:3, :3]), *base[:3, 3], len(cameras))
        out["frames"].append(head + data)
        for index, c in enumerate(cameras, start=1):
            at = pose(c) @ moved
            image = struct.pack("<I7dI", 10 * frame + index, *quaternion(at[:3, :3]), *at[:3, 3], index)
            points = struct.pack("<Q", 2) + struct.pack("<ddq", 1.0, 2.0, -1) * 2
            out["images"].append(image + f"{c.id}/{frame:04d}.jpg".encode() + b"\0" + points)
    for name, parts in out.items():
        (folder / f"{name}.bin").write_bytes(b"".join(parts))
    return folder
