"""The head while it plays: drawn here, and shown by the browser as a picture behind the scene.

A new picture costs a browser without a GPU less than a new mesh: docs/viewer.md has the figures.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from headfit import raster
from headfit.capture.camera import Camera
from headfit.capture.layouts.entries import from_quaternion
from headfit.fitting.pictures import Picture
from headfit.raster.texture import pyramid, sample_pyramid
from headfit.render.cameras import CameraBatch
from headfit.render.pixels import Pixels
from headfit.view import tone
from headfit.view.glb import ColouredSurface

if TYPE_CHECKING:
    import viser

Depth = NDArray[np.float32]
#: What the page shows where there is nothing, of 255: the darkest grey of viser's dark theme.
BACKGROUND = 20
#: Most rows of a picture; the browser enlarges it to the height of its window.
MAX_ROWS = 640
#: The depth is sent for one pixel of 4 x 4, and is this where there is nothing, metres: within the 24 bits of viser.
DEPTH_STEP, FAR = 4, 160.0
JPEG_QUALITY = 90
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
        warnings.filterwarnings("ignore", "Queued a BackgroundImageMessage")  # for a browser that has just been closed
        self._server = server
        self._shown: set[int] = set()  # the browsers that have a picture
        self._followed: set[int] = set()  # the browsers whose cameras call `_moved`
        self._is_left = False
        # Never without a picture: until it has read the first one and its depth, a browser shows black instead.
        _send(server, *_nothing())

    def show(self, surfaces: Sequence[ColouredSurface]) -> None:
        """Draw the surfaces of a frame and send them; returns when every browser has had time for its first one."""
        self._is_left = False
        clients = self._server.get_clients()
        for name, client in clients.items():
            _send(client, *drawn(surfaces, window_camera(client.camera)))
            if name not in self._followed:
                self._followed.add(name)
                client.camera.on_update(self._moved)
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
        for name, client in self._server.get_clients().items():
            if name in shown:
                _send(client, *_nothing())

    def _moved(self, _camera: viser.CameraHandle) -> None:
        if self._is_left:
            self.remove()


def _send(to: viser.ViserServer | viser.ClientHandle, picture: Picture, depth: Depth) -> None:
    """Send a picture `[H,W,3]` and, coarsely, its depth `[H,W]`."""
    size = (-(-depth.shape[1] // DEPTH_STEP), -(-depth.shape[0] // DEPTH_STEP))
    # Not means, which would slope from the head to what is behind it.
    coarse = np.asarray(cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST_EXACT))
    to.scene.set_background_image(picture, "jpeg", jpeg_quality=JPEG_QUALITY, depth=coarse)


def _nothing() -> tuple[Picture, Depth]:
    """The picture and the depth of an empty scene: one pixel."""
    return np.full((1, 1, 3), BACKGROUND, np.uint8), np.full((1, 1), FAR, np.float32)


def window_camera(view: viser.CameraHandle) -> Camera:
    """The camera of a browser's window, with at most `MAX_ROWS` rows."""
    rotation = from_quaternion(*view.wxyz).T
    width, height = max(view.image_width, 1), max(view.image_height, 1)
    focal = height / 2 / np.tan(view.fov / 2)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    camera = Camera("window", width, height, K, rotation, -rotation @ view.position)
    return camera.scaled(min(1.0, MAX_ROWS / height))


@torch.no_grad()
def drawn(surfaces: Sequence[ColouredSurface], camera: Camera) -> tuple[Picture, Depth]:
    """Surfaces as the page shows them to a camera.

    Returns:
        The picture `[H,W,3]` in front of `BACKGROUND`, and the depth `[H,W]`, metres, `FAR` where there is nothing.
    """
    positions = torch.cat([torch.from_numpy(surface.positions) for surface in surfaces])
    offsets = np.cumsum([0, *(len(surface.positions) for surface in surfaces)])
    faces = [torch.from_numpy(surface.faces.astype(np.int32)) for surface in surfaces]
    together = torch.cat([own + int(offset) for own, offset in zip(faces, offsets, strict=False)])
    v_pix = CameraBatch.of([camera]).project(positions[None])
    index, bary, depth = raster.rasterize(v_pix, together, (camera.height, camera.width))
    linear, first = torch.zeros_like(bary), 0
    for surface, own in zip(surfaces, faces, strict=True):
        seen = torch.where((index >= first) & (index < first + len(own)), index - first, -1)
        linear += _colours(surface, own, seen, bary)
        first += len(own)
    pixels = Pixels.where(index >= 0)
    shown = torch.from_numpy(tone.shown(pixels.take(linear).numpy()))
    empty = torch.full(linear.shape, BACKGROUND, dtype=torch.uint8)
    picture = pixels.put(empty, (shown * 255).round().to(torch.uint8))
    return picture[0].numpy(), torch.where(index >= 0, depth, FAR)[0].numpy()


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
