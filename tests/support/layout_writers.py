"""The exact layouts in which others keep calibrations, written from our cameras."""

import json
import struct
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

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


def text(values: np.ndarray) -> str:
    """Numbers with spaces between them, exactly."""
    return " ".join(repr(float(value)) for value in np.asarray(values).ravel())


def matrix_node(key: str, M: np.ndarray) -> str:
    """A matrix as OpenCV's FileStorage writes it."""
    M = np.atleast_2d(M)
    data = ", ".join(repr(float(value)) for value in M.ravel())
    return f"{key}: !!opencv-matrix\n   rows: {M.shape[0]}\n   cols: {M.shape[1]}\n   dt: d\n   data: [ {data} ]\n"


def opencv(folder: Path, cameras: list[Camera], sizes: bool = True, lens_key: str = "dist") -> Path:
    """EasyMocap's two files; intri.yml has one camera more, and lines end as on Windows."""
    intri = 'names:\n  - "spare"\n' + "".join(f'  - "{c.id}"\n' for c in cameras) + matrix_node("K_spare", np.eye(3))
    extri = "names:\n" + "".join(f'  - "{c.id}"\n' for c in cameras)
    for c in cameras:
        intri += matrix_node(f"K_{c.id}", c.K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])
        intri += matrix_node(f"{lens_key}_{c.id}", c.lens.coefficients[None, :5])
        intri += f"H_{c.id}: {c.height}\nW_{c.id}: {c.width}\n" if sizes else ""
        extri += matrix_node(f"R_{c.id}", cv2.Rodrigues(c.R)[0]) + matrix_node(f"Rot_{c.id}", c.R)
        extri += matrix_node(f"T_{c.id}", c.t[:, None])
    for name, body in (("intri", intri), ("extri", extri)):
        (folder / f"{name}.yml").write_bytes(("%YAML:1.0\n---\n" + body).replace("\n", "\r\n").encode())
    return folder


def multiface(folder: Path, cameras: list[Camera]) -> Path:
    """The text file KRT, in mm."""
    blocks = []
    for c in cameras:
        K = c.K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
        rows = [text(row) for row in K] + [text(c.lens.coefficients[:5])]
        rows += [text(row) for row in np.c_[c.R, c.t * 1000]]
        blocks.append("\n".join([c.id, *rows]) + "\n\n")
    (folder / "KRT").write_text("".join(blocks))
    return folder


def ava256(folder: Path, cameras: list[Camera]) -> Path:
    """camera_calibration.json, in mm, for pictures of 2668x4096: the cameras are scaled to that."""
    entries = []
    for c in cameras:
        K = np.diag([2668 / c.width, 4096 / c.height, 1]) @ c.K - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
        T = np.c_[c.R, c.t * 1000].T.tolist()
        entry = {"cameraId": int(c.id), "K": K.T.tolist(), "T": T, "distortionModel": "RadialAndTangential"}
        entries.append(entry | {"distortion": c.lens.coefficients[:4].tolist()})
    file = folder / "camera_calibration.json"
    file.write_text(json.dumps({"KRT": entries}))
    return file


#: From the chunk to the world in Metashape's file: scale, rotation and translation.
CHUNK = (2.5, cv2.Rodrigues(np.array([0.3, -0.2, 0.5]))[0], np.array([100.0, -20.0, 3.0]))


def metashape(folder: Path, cameras: list[Camera], orientations: dict[str, int] | None = None) -> Path:
    """A chunk with a sensor a camera. `orientations`: EXIF's, by camera; the cameras are those of the sensors."""
    scale, rotation, translation = CHUNK
    to_chunk = np.linalg.inv(np.vstack([np.c_[scale * rotation, translation], [0, 0, 0, 1]]))
    sensors, views = [], []
    for index, c in enumerate(cameras):
        k1, k2, p1, p2, k3 = c.lens.coefficients[:5]
        b1, b2 = c.K[0, 0] - c.K[1, 1], c.K[0, 1]
        values = {"f": c.K[1, 1], "cx": c.K[0, 2] - c.width / 2, "cy": c.K[1, 2] - c.height / 2, "b1": b1, "b2": b2}
        values |= {"k1": k1, "k2": k2, "k3": k3, "p1": p2, "p2": p1}
        body = "".join(f"<{key}>{float(value)!r}</{key}>" for key, value in values.items())
        resolution = f'<resolution width="{c.width}" height="{c.height}"/>'
        initial = f'<calibration type="frame" class="initial">{resolution}<f>1</f></calibration>'
        adjusted = f'<calibration type="frame" class="adjusted">{resolution}{body}</calibration>'
        sensors.append(f'<sensor id="{index}" type="frame">{resolution}{initial}{adjusted}</sensor>')
        pose = to_chunk @ c2w(c)
        pose[:3, :3] *= scale  # Metashape's rotations have no scale
        orientation = (orientations or {}).get(c.id, 1)
        label = f"C:\\photos\\{c.id}.jpg"
        views.append(
            f'<camera id="{index}" sensor_id="{index}" component_id="0" label="{label}"><transform>{text(pose)}'
            f"</transform><orientation>{orientation}</orientation></camera>"
        )
    views[0] = f'<group id="0" label="left">{views[0]}</group>'
    views.append('<camera id="90" sensor_id="0" label="unaligned"/><camera id="91" sensor_id="77" label="x"/>')
    transform = (
        f"<transform><rotation>{text(rotation)}</rotation><translation>{text(translation)}</translation>"
        f"<scale>{scale}</scale></transform>"
    )
    file = folder / "cameras.xml"
    file.write_text(
        f'<?xml version="1.0"?><document version="1.5.0"><chunk><sensors>{"".join(sensors)}</sensors><components>'
        f'<component id="0">{transform}</component></components><cameras>{"".join(views)}</cameras></chunk></document>'
    )
    return file


def realitycapture(folder: Path, cameras: list[Camera], as_attribute: bool = False) -> Path:
    """One XMP a picture."""
    for c in cameras:
        longer, d = max(c.size), c.lens.coefficients
        centre = (c.K[:2, 2] - np.array(c.size) / 2) / longer
        place, lens = text(c.centre), text([d[0], d[1], d[4], 0, d[3], d[2]])
        fields = {"FocalLength35mm": c.K[0, 0] / longer * 36, "AspectRatio": c.K[1, 1] / c.K[0, 0], "Skew": 0}
        fields |= {"PrincipalPointU": centre[0], "PrincipalPointV": centre[1]}
        attributes = " ".join(f'xcr:{key}="{text([value])}"' for key, value in fields.items())
        attributes += ' xcr:DistortionModel="brown3t2"' + (f' xcr:Position="{place}"' if as_attribute else "")
        elements = "" if as_attribute else f"<xcr:Position>{place}</xcr:Position>"
        (folder / f"{c.id}.xmp").write_text(
            f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description {attributes}>'
            f"<xcr:Rotation>{text(c.R)}</xcr:Rotation>{elements}<xcr:DistortionCoeficients>{lens}</xcr:DistortionCoeficients></rdf:Description></x:xmpmeta>"
        )
    return folder


def realitycapture_csv(folder: Path, cameras: list[Camera], headings: bool) -> Path:
    """A list of one of the two kinds, the second with the line that comes before its header."""
    lines = ["#name,x,y,alt,heading,pitch,roll,f,px,py,k1,k2,k3,k4,t1,t2"]
    if not headings:
        lines = [f"#cameras {len(cameras)}", "#name,x,y,z,omega,phi,kappa"]
    for c in cameras:
        if headings:
            yaw, pitch, roll = Rotation.from_matrix(c.R.T @ GL).as_euler("ZXY", degrees=True)
            d, longer = c.lens.coefficients, max(c.size)
            px = (c.K[:2, 2] - np.array(c.size) / 2) / longer * 36
            values = [-yaw, pitch, roll, c.K[0, 0] / longer * 36, *px, d[0], d[1], d[4], 0, d[3], d[2]]
        else:
            inner = np.diag([-1.0, 1, -1]) @ c.R @ np.diag([-1.0, -1, 1])
            values = Rotation.from_matrix(inner).as_euler("ZXY", degrees=True)
        lines.append(",".join([f"{c.id}.JPG", *text([*c.centre, *values]).split()]))
    file = folder / "cameras.csv"
    file.write_text("\n".join(lines) + "\n")
    return file
