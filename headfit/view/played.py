"""The head while it plays: drawn here, and shown by the browser as a picture behind its canvas.

A new picture costs a browser without a GPU less than a new mesh, and least where the scene is not drawn again for it.
viser's page draws its scene for every message about it, and on for a quarter of a second, but not for messages about
controls. So the pictures are the contents of a control, a style sheet: docs/viewer.md has the figures.
"""

from __future__ import annotations

import base64
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from headfit import raster
from headfit.capture.camera import Camera
from headfit.capture.framing import Framing
from headfit.capture.layouts.entries import from_quaternion
from headfit.fitting.pictures import Picture
from headfit.raster.texture import pyramid, sample_pyramid
from headfit.render.cameras import MIN_DEPTH, CameraBatch
from headfit.render.pixels import Pixels
from headfit.view import tone
from headfit.view.glb import ColouredSurface, jpeg

if TYPE_CHECKING:
    import viser

#: What the page shows where there is nothing, of 255: the darkest grey of viser's dark theme.
BACKGROUND = 20
#: Most rows of a picture; the browser enlarges it to the height of its window.
MAX_ROWS = 640
JPEG_QUALITY = 90
#: The class of the style sheets.
OWN = "headfit-played"
#: Seconds that a browser gets to draw its first picture before the mesh is hidden.
STARTING = 0.4


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes with one thread: a frame is small, and waits for threads that a browser keeps from their core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class PlayedHead:
    """The picture of the head in each browser that is connected, seen from where that one looks.

    Args:
        server: the server.
    """

    def __init__(self, server: viser.ViserServer) -> None:
        warnings.filterwarnings("ignore", "Queued a Gui")  # for a browser that has just been closed
        self._server = server
        self._sheets: dict[int, viser.GuiHtmlHandle] = {}  # of each browser that has had a picture
        self._shown: set[int] = set()  # the browsers that have a picture
        self._is_left = False

    def show(self, surfaces: Sequence[ColouredSurface]) -> None:
        """Draw the surfaces of a frame and send them; returns when every browser has had time for its first one."""
        self._is_left = False
        clients = self._server.get_clients()
        for name, client in clients.items():
            if name not in self._sheets:
                self._sheets[name] = _add_sheet(client)
                client.camera.on_update(self._moved)
            self._sheets[name].content = style_sheet(background(surfaces, window_camera(client.camera)))
        if clients.keys() - self._shown:
            time.sleep(STARTING)
        self._shown = set(clients)

    def leave(self) -> None:
        """Have each picture stay until the mesh in front of it may be elsewhere: a browser that compiles its shaders
        draws the mesh late, and does not say when."""
        self._is_left = True

    def remove(self) -> None:
        """Take the pictures away."""
        shown, self._shown = self._shown, set()
        for name in self._server.get_clients().keys() & shown:
            self._sheets[name].content = style_sheet()

    def _moved(self, _camera: viser.CameraHandle) -> None:
        if self._is_left:
            self.remove()


def _add_sheet(client: viser.ClientHandle) -> viser.GuiHtmlHandle:
    """A style sheet of a browser's page, in a panel of its own: what is in a panel is gone while that is folded."""
    panel = client.gui.add_panel()
    panel.float(x=0, y=0)
    with panel.add_tab(OWN):
        return client.gui.add_html(style_sheet())


def style_sheet(shown: str = "none") -> str:
    """HTML that has a page show a CSS background behind its canvas, and hides the panel that the HTML is in: a window
    of its own or, in a narrow browser, a part of the only one."""
    own = f".mantine-Paper-root:has([data-dock-group] .{OWN}), .mantine-Tabs-root:has(.{OWN})"
    return f'<style class="{OWN}">{own} {{display: none}} canvas[data-engine] {{background: {shown}}}</style>'


def background(surfaces: Sequence[ColouredSurface], camera: Camera) -> str:
    """The CSS background of a canvas that shows surfaces as a camera sees them."""
    part = part_with(surfaces, camera)
    data = base64.b64encode(jpeg(drawn(surfaces, camera.framed(part)), JPEG_QUALITY)).decode()
    width, height = part.width / camera.width, part.height / camera.height
    # CSS places a picture by the share of what the canvas has more than the picture.
    left, top = part.x / max(camera.width - part.width, 1), part.y / max(camera.height - part.height, 1)
    return f'url("data:image/jpeg;base64,{data}") {left:.4%} {top:.4%} / {width:.4%} {height:.4%} no-repeat'


def window_camera(view: viser.CameraHandle) -> Camera:
    """The camera of a browser's window, with at most `MAX_ROWS` rows."""
    rotation = from_quaternion(*view.wxyz).T
    width, height = max(view.image_width, 1), max(view.image_height, 1)
    focal = height / 2 / np.tan(view.fov / 2)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    camera = Camera("window", width, height, K, rotation, -rotation @ view.position)
    return camera.scaled(min(1.0, MAX_ROWS / height))


def part_with(surfaces: Sequence[ColouredSurface], camera: Camera) -> Framing:
    """The part of a camera's picture that surfaces are in; all of it where they reach behind the camera."""
    positions = torch.from_numpy(np.concatenate([surface.positions for surface in surfaces]))
    size = np.array(camera.size)
    low, high = np.zeros(2, int), size
    if len(positions):
        first, last = (v.numpy() for v in CameraBatch.of([camera]).project(positions[None])[0].aminmax(dim=0))
        if first[2] > MIN_DEPTH:
            low = np.floor(first[:2]).clip(0, size - 1).astype(int)
            high = np.ceil(last[:2]).clip(low + 1, size).astype(int)
    (x, y), (width, height) = low.tolist(), (high - low).tolist()
    return Framing(x, y, width, height, width, height)


@torch.no_grad()
def drawn(surfaces: Sequence[ColouredSurface], camera: Camera) -> Picture:
    """The picture `[H,W,3]` of surfaces as the page shows them to a camera, in front of `BACKGROUND`."""
    positions = torch.cat([torch.from_numpy(surface.positions) for surface in surfaces])
    offsets = np.cumsum([0, *(len(surface.positions) for surface in surfaces)])
    faces = [torch.from_numpy(surface.faces.astype(np.int32)) for surface in surfaces]
    together = torch.cat([own + int(offset) for own, offset in zip(faces, offsets, strict=False)])
    v_pix = CameraBatch.of([camera]).project(positions[None])
    index, bary, _ = raster.rasterize(v_pix, together, (camera.height, camera.width))
    linear, first = torch.zeros_like(bary), 0
    for surface, own in zip(surfaces, faces, strict=True):
        seen = torch.where((index >= first) & (index < first + len(own)), index - first, -1)
        linear += _colours(surface, own, seen, bary)
        first += len(own)
    pixels = Pixels.where(index >= 0)
    shown = torch.from_numpy(tone.shown(pixels.take(linear).numpy()))
    empty = torch.full(linear.shape, BACKGROUND, dtype=torch.uint8)
    return pixels.put(empty, (shown * 255).round().to(torch.uint8))[0].numpy()


def _colours(surface: ColouredSurface, faces: Tensor, index: Tensor, bary: Tensor) -> Tensor:
    """Linear colours `[1,H,W,3]` of a surface at the pixels that see it, 0 elsewhere."""
    colours = raster.interpolate(torch.from_numpy(surface.colours), faces, index, bary)
    if surface.texture is None or surface.uvs is None:
        return colours
    uv = raster.interpolate(torch.from_numpy(surface.uvs), faces, index, bary)
    texels, height, width, levels = _texels(surface.texture)
    any_face = torch.iinfo(torch.int32).max
    return colours * sample_pyramid(texels, height, width, levels, uv, index, None, any_face)[0]


@lru_cache(maxsize=2)  # of the head and its hair
def _texels(texture: bytes) -> tuple[Tensor, int, int, int]:
    """The linear texels of all mip levels of a JPEG file, its height and width, and the number of levels."""
    rgb = np.asarray(cv2.imdecode(np.frombuffer(texture, np.uint8), cv2.IMREAD_COLOR), np.float32)[..., ::-1]
    height, width = rgb.shape[:2]
    levels = ((height | width) & -(height | width)).bit_length()  # as often as both sides can be halved
    linear = torch.from_numpy(tone.decoded(rgb / 255))
    return pyramid(linear[None], levels), height, width, levels
