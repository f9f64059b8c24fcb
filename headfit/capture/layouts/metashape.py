"""Agisoft Metashape's `cameras.xml` (File, Export, Export cameras).

`<camera><transform>` is camera to chunk, 4x4 by rows with OpenCV's axes; the chunk's or component's `<transform>` leads
on to the world: s R x + t, in metres where the chunk was scaled. `cx`, `cy` are offsets from the middle of the picture.
Pixels are the sensor's: `<orientation>` (as in EXIF) says how the picture is turned to be upright.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from headfit.capture.layouts import content, entries
from headfit.capture.layouts.options import ImportOptions
from headfit.capture.layouts.pictures import Pictures, named_pictures
from headfit.capture.lenses.convert import convert_lens
from headfit.errors import HeadfitError, some_of
from headfit.files import damage_named, one_line, read_text
from headfit.types import Float

#: Degrees clockwise to upright, by EXIF orientation.
TURNS = {1: 0, 3: 180, 6: 90, 8: 270}
LENS_FIELDS = ("k1", "k2", "k3", "k4", "p1", "p2", "p3", "p4", "b1", "b2")
#: What is read of a calibration, which also holds dates and the like.
FIELDS = ("f", "fx", "fy", "cx", "cy", "skew", *LENS_FIELDS)


class Sensor(NamedTuple):
    """Size of the pictures (pixels), K and the lens."""

    size: tuple[int, int]
    K: Float
    lens: Mapping[str, Any]


def recognise(source: Path) -> bool:
    """Whether `source` is Metashape's XML, or a folder with one."""
    return _file(source) is not None


def read(source: Path, options: ImportOptions) -> dict[str, Any]:
    """The content of capture.json. `source`: the XML file, or a folder with one."""
    file = _file(source)
    if file is None:
        raise HeadfitError(f"{source}: no XML file of Metashape there")
    with damage_named(file, "Metashape's XML"):
        return _read(file, options)


def _file(source: Path) -> Path | None:
    for file in [source] if source.is_file() else sorted(source.glob("*.xml")):
        if file.suffix.lower() == ".xml":
            start = file.open("rb").read(4096).decode("utf-8", errors="replace")
            if "<document" in start and "<chunk" in start:
                return file
    return None


def _read(file: Path, options: ImportOptions) -> dict[str, Any]:
    try:
        root = ElementTree.fromstring(read_text(file))
    except ElementTree.ParseError as error:
        raise HeadfitError(f"{file}: not readable as XML: {one_line(error)}") from error
    chunks = [root] if root.tag == "chunk" else root.findall(".//chunk")
    chunk = max(chunks, key=lambda c: len(c.findall(".//camera/transform")), default=None)
    if chunk is None:
        raise HeadfitError(f"{file}: no chunk in it")
    sensors = _sensors(chunk, options)
    cameras, component = _aligned(chunk, sensors, options)
    if not cameras:
        raise HeadfitError(f"{file}: no aligned camera (one with a <transform>) in it")
    to_world = _to_world(chunk, component)
    if to_world is None:
        options.unscaled()
    labels = [
        Path(PureWindowsPath(camera.get("label") or f"camera{camera.get('id')}").as_posix()) for camera in cameras
    ]
    names, pictures = named_pictures(labels, file.parent, options)
    by_name = dict(zip(names, cameras, strict=True))
    found = []
    for name in content.with_pictures(names, pictures, options):
        camera = by_name[name]
        c2w = _world_pose(entries.numbers(camera.findtext("transform"), 4, 4), to_world)
        sensor = sensors[camera.get("sensor_id", "")]
        entry = entries.camera(name, sensor.size, sensor.K, *entries.inverse_pose(c2w), sensor.lens)
        turn = TURNS.get(int(camera.findtext("orientation") or 1), 0)
        found.append(upright(entry, turn, pictures, options))
    return content.content(file.stem, found, options, pictures=pictures)


def upright(entry: dict[str, Any], turn: int, pictures: Pictures | None, options: ImportOptions) -> dict[str, Any]:
    """The camera of the upright picture.

    Args:
        entry: the camera of the sensor's picture.
        turn: degrees clockwise that turn the sensor's picture upright.
        pictures: stored as the sensor has them, or turned already, which their size says.
        options: the options.
    """
    turned = entries.turned(entry, turn)
    size = pictures.size(entry["id"]) if pictures else None
    wide = entry["width"] > entry["height"]
    if size is not None and turn % 180 and (size[0] > size[1]) != wide:
        return content.fitted(turned | {"rotate": 0}, pictures, options)
    if size is None:
        return content.fitted(turned, None, options)
    stored = entries.resized(entry, *size) if size != (entry["width"], entry["height"]) else entry
    return entries.turned(stored, turn)


def _sensors(chunk: Element, options: ImportOptions) -> dict[str, Sensor]:
    """By id the sensors whose intrinsics are known."""
    sensors, guessed = {}, []
    for node in chunk.findall("./sensors/sensor"):
        name = node.get("id", "")
        calibrations = node.findall("calibration")
        adjusted = [c for c in calibrations if c.get("class") == "adjusted"] or calibrations
        resolution = node.find("resolution") if node.find("resolution") is not None else node.find(".//resolution")
        if resolution is None:
            continue
        size = int(float(resolution.get("width", 0))), int(float(resolution.get("height", 0)))
        if adjusted:
            texts = {child.tag: child.text for child in adjusted[-1] if child.tag in FIELDS and child.text}
            values = {tag: float(text) for tag, text in texts.items()}
            kind = adjusted[-1].get("type") or node.get("type") or "frame"
        else:
            properties = {
                p.get("name"): float(p.get("value", 0)) for p in node.findall("property[@value]") if _number(p)
            }
            pitch = properties.get("pixel_width", 0)
            if not pitch or "focal_length" not in properties:
                continue
            values, kind = {"f": properties["focal_length"] / pitch}, node.get("type") or "frame"
            guessed.append(node.get("label") or name)
        sensors[name] = _intrinsics(size, values, kind, name)
    if guessed:
        options.notes.append(f"sensors without calibration, taken from their focal length in mm: {some_of(guessed)}")
    return sensors


def _number(node: Element) -> bool:
    try:
        float(node.get("value", ""))
    except ValueError:
        return False
    return True


def _intrinsics(size: tuple[int, int], values: Mapping[str, float], kind: str, name: str) -> Sensor:
    f = values.get("f") or values.get("fx", 0.0)
    if kind not in ("frame", "fisheye") or f <= 0:
        raise HeadfitError(f"sensor {name}: a {kind} camera with f = {f:g} cannot be read, only frame and fisheye")
    # Until version 1.2 cx and cy counted from the corner, next to fx and fy.
    offset = (0.0, 0.0) if "fx" in values else (size[0] / 2, size[1] / 2)
    K = entries.matrix_K(
        f,
        values.get("fy", f),
        offset[0] + values.get("cx", 0.0),
        offset[1] + values.get("cy", 0.0),
        values.get("skew", 0),
    )
    params = {key: values[key] for key in LENS_FIELDS if values.get(key)}
    lens, K, _ = convert_lens(f"metashape/{kind}", params, K, size, f"of sensor {name}")
    return Sensor(size, K, lens)


def _aligned(chunk: Element, sensors: Mapping[str, Sensor], options: ImportOptions) -> tuple[list[Element], str | None]:
    """The aligned cameras of the largest component, and its id. Notes the others."""
    everything = chunk.findall("./cameras//camera")
    aligned = [camera for camera in everything if camera.find("transform") is not None]
    placed = [camera for camera in aligned if camera.get("enabled", "true") not in ("0", "false")]
    component = Counter(camera.get("component_id") for camera in placed).most_common(1)
    chosen = [camera for camera in placed if camera.get("component_id") == component[0][0]] if component else []
    known = [camera for camera in chosen if camera.get("sensor_id") in sensors]
    for what, number in (
        ("are not aligned", len(everything) - len(aligned)),
        ("are disabled", len(aligned) - len(placed)),
        ("belong to another component", len(placed) - len(chosen)),
        ("have a sensor without calibration", len(chosen) - len(known)),
    ):
        if number:
            options.notes.append(f"{number} of {len(everything)} cameras {what} and are left out")
    return known, component[0][0] if component else None


def _to_world(chunk: Element, component: str | None) -> Float | None:
    """The matrix `[4,4]` from the chunk or component to the world; None where none is given."""
    components = chunk.findall("./components/component")
    known = [c for c in components if c.get("id") == component or (component is None and len(components) == 1)]
    nodes = [c.find("transform") for c in known]
    node = next((n for n in [*nodes, chunk.find("transform")] if n is not None), None)
    if node is None:
        return None
    if node.text and node.text.strip():
        return entries.numbers(node.text, 4, 4)
    matrix = np.eye(4)
    if (text := node.findtext("rotation")) is not None:
        matrix[:3, :3] = entries.numbers(text, 3, 3)
    matrix[:3, :3] *= float(node.findtext("scale") or 1)
    if (text := node.findtext("translation")) is not None:
        matrix[:3, 3] = entries.numbers(text, 3)
    return matrix


def _world_pose(c2w: Float, to_world: Float | None) -> Float:
    return c2w if to_world is None else np.asarray(to_world @ c2w)
