"""FittedHead: everything that a fit determines, and how it looks in a camera. It knows nothing of optimisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from headfit.capture.camera import Camera
from headfit.capture.framing import HeadWindow
from headfit.capture.labels import LIP_LABELS, MOUTH_CLASSES, TEETH_LABELS, label_classes
from headfit.capture.landmark_files import LANDMARK_COUNT
from headfit.capture.summary import CaptureSummary
from headfit.capture.views import ViewBatch
from headfit.errors import HeadfitError
from headfit.fitting.camera_correction import CameraCorrection
from headfit.fitting.config import FitConfig
from headfit.fitting.contact import MouthContact
from headfit.fitting.crop import crop_to_head
from headfit.fitting.dense_points import DensePoints
from headfit.fitting.groups import require_complete
from headfit.fitting.hair_layer import HairLayer
from headfit.fitting.observation import ComparedColours, Observation
from headfit.fitting.parameters import FitParameters
from headfit.fitting.untold import without_untold
from headfit.head import HeadModel, load
from headfit.head.contour import JawContour
from headfit.raster import backend
from headfit.raster.topology import Cache, once
from headfit.render import Appearance, CameraBatch, Fragments, HairRenderer, HeadRenderer, Pixels

#: Classes whose colour may move the geometry: lit like a smooth surface. Inside the mouth darkness is shadow; there
#: colour only fills the texture.
PHOTOMETRIC_CLASSES = ("skin", *LIP_LABELS)
_visited: Cache[frozenset[int]] = {}
#: Classes whose colour moves the surface that carries it, but not its borders: masks do not show the iris.
TURNING_CLASSES = ("left_eye", "right_eye", "eyes")


class FittedHead(nn.Module):
    """The unknowns of one capture and how they look: geometry, appearance, renderer, label classes.

    Frames and cameras are addressed by index into `capture.frames` and `capture.cameras`, which are stored with the
    parameters, so a fit can be opened without its capture.

    Args:
        config: the settings.
        head: the head model.
        capture: names, cameras and labels of the capture.
    """

    class_of_label: Tensor
    class_weight: Tensor
    photometric_class: Tensor
    turning_class: Tensor
    is_inner: Tensor
    is_lip: Tensor
    hair_texture: Tensor
    landmark_trust: Tensor
    mask_trust: Tensor
    head_window: Tensor
    hair_started: Tensor
    texture_started: Tensor
    visited: Tensor

    def __init__(self, config: FitConfig, head: HeadModel, capture: CaptureSummary) -> None:
        super().__init__()
        self.config = config
        self.capture = capture
        held_out = [capture.camera_index(name) for name in config.hold_out]
        self.training_cameras = [i for i in range(len(capture.cameras)) if i not in held_out]
        frames, cameras = len(capture.frames), len(capture.cameras)
        self.geometry = FitParameters(head, frames, config.offset_smoothness)
        centres = torch.tensor(np.stack([camera.centre for camera in capture.cameras]), dtype=torch.float32)
        self.appearance = Appearance(config.texture_size, centres, self.training_cameras)
        self.cameras = CameraCorrection(capture.cameras, self.training_cameras)
        self.contour = JawContour(head) if head.has_landmarks else None
        self.dense = DensePoints(head)
        self.renderer = HeadRenderer(head)
        self.contact = MouthContact(head, self.renderer.normals)
        self.hair = HairLayer(head)
        self.hair_renderer = HairRenderer(self.renderer, self.hair.faces, self.hair.source_faces)
        self.register_buffer("hair_texture", torch.full((1, 3, *[config.texture_size // 2] * 2), 0.5))
        self.register_buffer("landmark_trust", torch.ones(frames, cameras, LANDMARK_COUNT, dtype=torch.bool))
        self.register_buffer("mask_trust", torch.ones(frames, cameras))
        self.register_buffer("head_window", torch.zeros(cameras, 5, dtype=torch.float64))
        self.register_buffer("visited", torch.zeros(frames, dtype=torch.bool))
        self.register_buffer("hair_started", torch.zeros((), dtype=torch.bool))
        self.register_buffer("texture_started", torch.zeros((), dtype=torch.bool))
        self.compare_with_labels(capture.label_names, capture.made_masks)
        require_complete(self.state_dict())

    def compare_with_labels(self, label_names: Mapping[int, str], made_masks: bool) -> None:
        """From now on, the masks have these labels; made_masks: the fit made them. No parameter depends on them."""
        self.capture = replace(self.capture, label_names=dict(label_names), made_masks=made_masks)
        self.classes = label_classes(self.head.label_names, label_names)
        names = self.classes.names
        for name, values in {
            "class_of_label": self._classes_without_hair(),
            "class_weight": torch.tensor([self.config.class_weights.get(name, 1.0) for name in names]),
            "photometric_class": torch.tensor([name in PHOTOMETRIC_CLASSES for name in names]),
            "turning_class": torch.tensor([name in TURNING_CLASSES for name in names]),
            "is_inner": torch.tensor([name in MOUTH_CLASSES for name in names]),
            "is_lip": torch.tensor([name in LIP_LABELS for name in names]),
        }.items():
            self.register_buffer(name, values.to(self.device), persistent=False)
        told = set(names)
        untold = [part for part in (("tongue",), TEETH_LABELS) if told.isdisjoint(part)]
        self.geometry.hold([name for part in untold for name in part])

    def _classes_without_hair(self) -> Tensor:
        """Class `[labels]` of each of the model's labels on the head itself: below its hair it is skin."""
        skin, names = self.classes.names.index("skin"), self.head.label_names
        of_label = zip(names, self.classes.from_model.tolist(), strict=True)
        return torch.tensor([skin if name == "hair" else index for name, index in of_label])

    @classmethod
    def build(cls, config: FitConfig, capture: CaptureSummary) -> FittedHead:
        """A model at its initial values. Raises HeadfitError when the head cannot be loaded or a held-out camera is
        unknown."""
        return cls(config, load(config.head), capture)

    @property
    def head(self) -> HeadModel:
        """The head model."""
        return self.geometry.head

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return self.visited.device

    @property
    def visited_frames(self) -> frozenset[int]:
        """The frames that a stage has moved: `visited`, read from the device once after every change."""
        return once(self.visited, _visited, _indices)

    @property
    def use_landmarks(self) -> bool:
        """Whether landmarks are compared: the settings want it, and the head model has some."""
        return self.config.use_landmarks and self.contour is not None

    @property
    def use_dense_landmarks(self) -> bool:
        """Whether dense landmarks are compared: the settings want landmarks, capture and head model have dense ones."""
        known = self.capture.dense_landmarks and len(self.head.dense_landmark_numbers) > 0
        return self.use_landmarks and known

    @property
    def dense_numbers(self) -> list[int]:
        """Which of MediaPipe's 478 landmarks are compared; none where they are not used."""
        return self.head.dense_landmark_numbers.tolist() if self.use_dense_landmarks else []

    @property
    def hair_class(self) -> int | None:
        """The class of hair, where masks and head model know it."""
        return self.classes.names.index("hair") if "hair" in self.classes.names else None

    @property
    def mouth_class(self) -> int | None:
        """The class of what is between the lips and no part of its own, where masks and head model know it."""
        return self.classes.names.index("mouth") if "mouth" in self.classes.names else None

    @property
    def masks_show_lips(self) -> bool:
        """Whether masks tell lips from skin."""
        return not set(LIP_LABELS).isdisjoint(self.classes.names)

    @property
    def has_hair(self) -> bool:
        """Whether there is a hair layer: masks and head model know hair."""
        return self.hair_class is not None and self.hair.exists

    @property
    def shows_hair(self) -> bool:
        """Whether the hair layer has been fitted."""
        return self.has_hair and bool(self.hair_started)

    @property
    def has_texture(self) -> bool:
        """Whether the texture holds colours yet."""
        return bool(self.texture_started)

    # ---- what is compared with the capture ---------------------------------------------------------------------

    def observe(self, batch: ViewBatch, crop_blur: float | None = None) -> Observation:
        """The model in the cameras of a batch of views.

        Args:
            batch: the views, on any device.
            crop_blur: crop the views to the head with room for a blur of this standard deviation (pixels); None: keep
                the whole pictures. So does a GPU: it would have to be waited for until the head's place is known.
        """
        batch = batch.to(self.device)
        frames, frame_of_view = batch.distinct_frames()
        v_frames, offsets = self.geometry(frames)
        v_views = v_frames.index_select(0, frame_of_view)
        cameras = self.view_cameras(batch)
        if crop_blur is not None and not backend.is_asynchronous(self.device):
            batch, cameras = crop_to_head(batch, cameras, v_views, crop_blur)
        fragments = self.renderer.rasterize(v_views, cameras)
        if self.classes.ignores_some_of_the_model:
            batch = without_untold(batch, fragments, self.class_of_label[self.renderer.face_labels])
        shown_classes = batch.shown_classes()
        return Observation(
            batch=batch,
            cameras=cameras,
            frames=frames,
            frame_of_view=frame_of_view,
            v_frames=v_frames,
            v_views=v_views,
            offsets=offsets,
            fragments=fragments,
            shown_classes=shown_classes,
            shown_as=self.shown_as(shown_classes),
            hair_class=self.hair_class,
            normals_of=self.renderer.normals,
        )

    def shown_as(self, shown_classes: Tensor) -> Tensor:
        """As which class each class of the model is compared in each view, `[B,C]`: as itself, but a part of the mouth
        that a view's mask lacks (`shown_classes`, bool `[B,C]`) as the rest of the mouth.

        Parsers miss a tongue in some views, and merge small parts with what is around them, so that a part is not
        there says little; other views tell where it is.
        """
        own = torch.arange(len(self.classes), device=self.device).expand_as(shown_classes)
        if self.mouth_class is None:
            return own
        return own.masked_fill(self.is_inner & ~shown_classes, self.mouth_class)

    def view_cameras(self, batch: ViewBatch) -> CameraBatch:
        """The corrected cameras of a batch's views, at the batch's image size."""
        return self.cameras(self.given_cameras(batch), batch.camera)

    def given_cameras(self, batch: ViewBatch) -> CameraBatch:
        """The capture's cameras of a batch's views, at the batch's image size; prepared in double precision."""
        cameras = [self.capture.cameras[camera] for _, camera in batch.pairs]
        framed = [camera.framed(framing) for camera, framing in zip(cameras, batch.framings, strict=True)]
        return CameraBatch.of(framed, device=self.device, size=(batch.image.shape[1], batch.image.shape[2]))

    def corrected_cameras(self) -> list[Camera]:
        """The capture's cameras as the fit corrected them, in its local frame; held-out ones are as given."""
        return self.cameras.corrected(self.capture.cameras)

    @property
    def head_windows(self) -> list[HeadWindow]:
        """Where the head is in each camera's pictures, from its initial poses; the whole picture before those."""
        return [
            HeadWindow(int(x), int(y), int(width), int(height), size) if size else HeadWindow.whole(c.width, c.height)
            for c, (x, y, width, height, size) in zip(self.capture.cameras, self.head_window.tolist(), strict=True)
        ]

    def rasterize_hair(self, v_world: Tensor, normals: Tensor, cameras: CameraBatch) -> Fragments:
        """What cameras see of heads `v_world [B,V,3]` with unit `normals [B,V,3]` and of their hair; only the hair has
        gradients."""
        return self.hair_renderer.rasterize(v_world.detach(), self.hair.surface(v_world, normals), cameras)

    def class_images(self, o: Observation) -> Tensor:
        """One-hot images `[B,H,W,C]` of the label classes, whose gradient moves the borders between them."""
        return self.renderer.label_probabilities(o.fragments, self.class_of_label, len(self.classes), o.shown_as)

    def label_loss(self, o: Observation) -> Tensor:
        """Squared difference `[B,H,W]` of the class images and those of the masks, each class by its weight."""
        shares = o.batch.label_prob
        return self.renderer.label_loss(o.fragments, self.class_of_label, self.class_weight, shares, o.shown_as)

    def area_by_trust(self, o: Observation) -> Tensor:
        """By what the mask losses of views are divided, `[B]`: the head's area, the more the less their masks are
        trusted."""
        return o.head_area / self.mask_trust[o.batch.frame, o.batch.camera]

    def class_of_pixel(self, o: Observation) -> Tensor:
        """Class `[B,H,W]`, as it is compared, of the model's face at each head pixel, 0 for labels that are not
        compared; without meaning beside the head."""
        label = self.renderer.face_labels[o.fragments.index_img.long().clamp(0, self.renderer.face_count - 1)]
        return o.as_shown(self.class_of_label[label].clamp_min(0))

    def colour_kinds(self, o: Observation) -> tuple[Tensor, Tensor]:
        """Bool `[B,H,W]` each: where colour and borders may move the geometry, and where colour alone may."""
        index_img = o.fragments.index_at(o.on_head)
        kind_of_class = torch.where(self.photometric_class, 1, torch.where(self.turning_class, 2, 0)).to(torch.uint8)
        of_face = kind_of_class[self.class_of_label[self.renderer.face_labels].clamp_min(0)]
        # Index -1 picks the last entry: neither kind.
        kind = torch.nn.functional.pad(of_face, (0, 1)).take(index_img.long())
        return (kind == 1) & o.agrees(self.photometric_class), (kind == 2) & o.agrees(self.turning_class)

    def compare_colours(self, o: Observation) -> ComparedColours:
        """Render the colours of the views where they can be compared with the images."""
        lit, turning = self.colour_kinds(o)
        colours = self.colours_at(o, o.on_head, still=~(lit | turning))
        return ComparedColours(o.batch.image.float() / 255, colours, o.on_head, lit, turning)

    def colours_at(self, o: Observation, pixels: Tensor, still: Tensor | None = None) -> Tensor:
        """Rendered colours `[B,H,W,3]` of the head at `pixels`, bool `[B,H,W]`, 0 elsewhere; those of `still` pixels do
        not move the geometry."""
        index_img = o.fragments.index_at(pixels)
        return self.renderer.shade(o.fragments, o.normals, self.appearance, o.batch.camera, index_img, still)

    # ---- results -----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def vertices(self, frame: int) -> Tensor:
        """Vertices `[V,3]` (metres) of one frame in the fit's local frame; see `world_vertices`."""
        return self.geometry(torch.tensor([frame], device=self.device))[0][0]

    def world_vertices(self, frame: int) -> NDArray[np.float64]:
        """Vertices `[V,3]` of one frame in the capture's world, in metres by the capture's units."""
        return self.capture.world.to_world(self.vertices(frame).cpu().numpy())

    @torch.no_grad()
    def world_hair_vertices(self, frame: int) -> NDArray[np.float64]:
        """Vertices `[Vh,3]` of the hair layer in one frame, like `world_vertices`."""
        v = self.vertices(frame)[None]
        return self.capture.world.to_world(self.hair.surface(v, self.renderer.normals(v))[0].cpu().numpy())

    @torch.no_grad()
    def render(self, camera: Camera, frame: int) -> dict[str, NDArray[Any]]:
        """Layers of one frame in a camera, as numpy without batch dimension: see `HeadRenderer.layers`; rgb is uint8.

        The camera is in the fit's local frame, like those of `corrected_cameras`. Colours take the gain of the
        capture's camera of that id; a camera that is not in the capture takes the mean.
        """
        ids = [known.id for known in self.capture.cameras]
        index = torch.tensor([ids.index(camera.id) if camera.id in ids else -1], device=self.device)
        v_world, cameras = self.vertices(frame)[None], CameraBatch.of([camera], device=self.device)
        if self.shows_hair:
            fragments = self.rasterize_hair(v_world, self.renderer.normals(v_world), cameras)
        else:
            fragments = self.renderer.rasterize(v_world, cameras)
        layers = self.renderer.layers(fragments, self.appearance, index)
        if self.shows_hair:
            self._add_hair(layers, fragments, index)
        arrays = {name: layer[0].cpu().numpy() for name, layer in layers.items()}
        return arrays | {"rgb": (arrays["rgb"] * 255).round().astype(np.uint8)}

    def _add_hair(self, layers: dict[str, Tensor], fragments: Fragments, camera: Tensor) -> None:
        """Put the hair that one view shows into its layers; what is bald below it is skin."""
        names, hair = self.head.label_names, fragments.hair
        label = layers["label"]
        label[label == names.index("hair")] = names.index("skin")
        label[hair] = names.index("hair")
        layers["alpha"][hair] = 1.0
        layers["depth"][hair] = fragments.depth[hair]
        pixels = Pixels.where(hair)
        colours = self.hair_renderer.colours(fragments, self.hair_texture, pixels) * self.appearance.gain(camera)
        layers["rgb"][hair] = colours.clamp(0, 1)

    def texture_image(self) -> NDArray[np.uint8]:
        """The albedo `[T,T,3]` uint8 RGB; row 0 is v = 1."""
        return _picture(self.appearance.albedo())

    def hair_texture_image(self) -> NDArray[np.uint8]:
        """The colours of the hair layer `[T/2,T/2,3]` uint8 RGB, in the same texture coordinates."""
        return _picture(self.hair_texture)

    # ---- checkpoints -------------------------------------------------------------------------------------------

    def identification(self) -> dict[str, Any]:
        """What a checkpoint stores with the parameters, so that they can be read: head and capture."""
        return {
            "head": {"name": self.config.head, "fingerprint": self.head.fingerprint},
            "capture": self.capture.to_dict(),
        }

    def require_same_head(self, checkpoint: Mapping[str, Any]) -> None:
        """Raises HeadfitError where the checkpoint was made with another head: its numbers mean nothing on this one."""
        made_with = checkpoint["head"]
        if made_with["fingerprint"] != self.head.fingerprint:
            raise HeadfitError(
                f"the checkpoint was made with another head model (then {made_with['name']}, now {self.config.head}, "
                "with other contents); use the head it was made with, or start a new run"
            )


def _indices(mask: Tensor) -> frozenset[int]:
    """Where `mask [N]` is True; read from a GPU as a whole."""
    return frozenset(np.flatnonzero(mask.cpu().numpy()).tolist())


def _picture(texture: Tensor) -> NDArray[np.uint8]:
    """A texture `[1,3,T,T]` in [0,1] as uint8 RGB `[T,T,3]`."""
    colours = texture.detach()[0].clamp(0, 1).permute(1, 2, 0)
    return (colours * 255).round().to(torch.uint8).cpu().numpy()
