"""Further layouts in which others keep calibrations, written from our cameras."""

import json
from pathlib import Path

import cv2
import h5py
import numpy as np

from headfit.capture.camera import Camera
from tests.support.layout_writers import c2w, pose

HALF_PIXEL = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])


def facescape(folder: Path, cameras: list[Camera], unit: float = 1.0) -> Path:
    """params.json of expression 2 of subject 7, with a view more, which is not valid. `unit`: metres."""
    values = {}
    for view, c in enumerate([*cameras, cameras[0]]):
        values |= {f"{view}_K": (c.K - HALF_PIXEL).tolist(), f"{view}_Rt": np.c_[c.R, c.t / unit].tolist()}
        values |= {f"{view}_distortion": c.lens.coefficients[:5].tolist(), f"{view}_valid": view < len(cameras)}
        values |= {f"{view}_width": c.width, f"{view}_height": c.height, f"{view}_sn": "X"}
    file = folder / "7" / "2_smile" / "params.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(values))
    return file


def renderme_json(folder: Path, cameras: list[Camera]) -> Path:
    """The calibration as JSON."""
    values = {}
    for c in cameras:
        K, D = (c.K - HALF_PIXEL).tolist(), c.lens.coefficients[:5].tolist()
        values[c.id] = {"K": K, "D": D, "RT": c2w(c).tolist()}
    file = folder / "calibration.json"
    file.write_text(json.dumps(values))
    return file


def renderme_smc(folder: Path, cameras: list[Camera]) -> Path:
    """The calibration as an SMC (HDF5) file."""
    file = folder / "0026_s1_anno.smc"
    with h5py.File(file, "w") as opened:
        opened.create_group("Camera").attrs["resolution"] = np.array([cameras[0].height, cameras[0].width])
        for c in cameras:
            group = opened.create_group(f"Calibration/{c.id}")
            group["K"], group["D"], group["RT"] = c.K - HALF_PIXEL, c.lens.coefficients[:5], c2w(c)
    return file


def anipose(folder: Path, cameras: list[Camera], unit: float = 0.001) -> Path:
    """Anipose's TOML; `unit`: metres."""
    parts = []
    for index, c in enumerate(cameras):
        r = cv2.Rodrigues(c.R)[0].ravel()
        lines = [f"[cam_{index}]", f'name = "{c.id}"', f"size = [ {c.width}, {c.height},]"]
        lines += [f"matrix = {(c.K - HALF_PIXEL).tolist()}", f"distortions = {c.lens.coefficients[:5].tolist()}"]
        lines += [f"rotation = {r.tolist()}", f"translation = {(c.t / unit).tolist()}", "fisheye = false", ""]
        parts += lines
    file = folder / "calibration.toml"
    file.write_text("\n".join([*parts, "[metadata]", "adjusted = true", "error = 0.3", ""]))
    return file


def h3ds(folder: Path, cameras: list[Camera]) -> Path:
    """cameras.npz, each projection times another factor."""
    arrays = {}
    for index, c in enumerate(cameras):
        matrix = np.eye(4)
        matrix[:3] = (c.K - HALF_PIXEL) @ np.c_[c.R, c.t * 1000]
        arrays[f"world_mat_{index}"] = matrix * (-2.0) ** index
        arrays[f"scale_mat_{index}"] = np.diag([250.0, 250, 250, 1])
    np.savez(folder / "cameras.npz", **arrays)
    return folder


def meshroom(folder: Path, cameras: list[Camera], version: tuple[int, int, int] = (1, 2, 6)) -> Path:
    """A scene; all numbers are strings. The last view has no pose."""
    views, sensors, poses = [], [], []
    for index, c in enumerate(cameras):
        ids = {"viewId": str(1000 + index), "poseId": str(1000 + index), "intrinsicId": str(index)}
        views.append(ids | {"path": f"/data/photos/{c.id}.jpg", "width": str(c.width), "height": str(c.height)})
        offset = c.K[:2, 2] - (np.array(c.size) / 2 if version >= (1, 2, 1) else 0)
        k1, k2, p1, p2, k3 = c.lens.coefficients[:5]
        ratio = c.K[1, 1] / c.K[0, 0]
        sensor = {"intrinsicId": str(index), "width": str(c.width), "height": str(c.height), "type": "brown"}
        sensor |= {"sensorWidth": "36.0", "principalPoint": [repr(float(v)) for v in offset]}
        sensor["distortionParams"] = [repr(float(v)) for v in (k1, k2, k3, p1, p2)]
        if version < (1, 2, 2):
            sensor["pxFocalLength"] = [repr(float(v)) for v in (c.K[0, 0], c.K[1, 1])]
        else:
            sensor["focalLength"] = repr(float(c.K[0, 0] / c.width * 36))
            sensor["pixelRatio"] = repr(float(ratio if version >= (1, 2, 5) else 1 / ratio))
        sensors.append(sensor)
        transform = {"rotation": [repr(float(v)) for v in c.R.T.ravel()], "center": [repr(float(v)) for v in c.centre]}
        poses.append({"poseId": ids["poseId"], "pose": {"transform": transform, "locked": "0"}})
    views.append({"viewId": "9", "poseId": "9", "intrinsicId": "0", "path": "/data/photos/lost.jpg"})
    content = {"version": [str(part) for part in version], "views": views, "intrinsics": sensors, "poses": poses}
    file = folder / "cameras.sfm"
    file.write_text(json.dumps(content))
    return file


def opensfm(folder: Path, cameras: list[Camera]) -> Path:
    """A reconstruction, the larger of two."""
    sensors, shots = {}, {}
    for c in cameras:
        longer = max(c.size)
        k1, k2, p1, p2, k3 = c.lens.coefficients[:5]
        centre = (c.K[:2, 2] - np.array(c.size) / 2) / longer
        sensor = {"projection_type": "brown", "width": c.width, "height": c.height, "c_x": centre[0], "c_y": centre[1]}
        sensor |= {"focal_x": c.K[0, 0] / longer, "focal_y": c.K[1, 1] / longer}
        sensors[f"v {c.id}"] = sensor | {"k1": k1, "k2": k2, "p1": p1, "p2": p2, "k3": k3}
        r, t = cv2.Rodrigues(pose(c)[:3, :3])[0].ravel().tolist(), c.t.tolist()
        shots[f"{c.id}.jpg"] = {"rotation": r, "translation": t, "camera": f"v {c.id}"}
    file = folder / "reconstruction.json"
    file.write_text(json.dumps([{"cameras": {}, "shots": {}}, {"cameras": sensors, "shots": shots, "points": {}}]))
    return file
