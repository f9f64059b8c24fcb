"""HeadFit: the training step, its parameters and its stages, as a LightningModule."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from torch import Tensor

from headfit.capture.capture import Capture
from headfit.capture.data import CaptureData, ViewBatch
from headfit.capture.labels import LabelClasses
from headfit.errors import HeadfitError
from headfit.fitting import losses
from headfit.fitting.config import FitConfig, Stage
from headfit.fitting.crop import crop_to_head
from headfit.fitting.optimizer import FitAdam
from headfit.fitting.parallel import sum_gradients, summed, take_from_first
from headfit.fitting.parameters import FitParameters
from headfit.fitting.schedule import Plan, PlannedChunk
from headfit.fitting.temporal import STRIDE, neighbours, temporal_prior
from headfit.fitting.texture_start import start_appearance
from headfit.head import HeadModel
from headfit.head.contour import CONTOUR, JawContour, contour_points
from headfit.render import Appearance, CameraBatch, HeadRenderer, Visible

#: Classes whose colour may move the geometry: lit like a smooth surface. Inside the mouth darkness is shadow; there
#: colour only fills the texture.
PHOTOMETRIC_CLASSES = ("skin", "lips", "upper_lip", "lower_lip")
#: Classes whose colour turns what it is on, while masks alone move the borders: no mask knows the iris.
TURNING_CLASSES = ("left_eye", "right_eye")


@dataclass(frozen=True)
class ShownColours:
    """Images `[B,H,W,3]` of some views; their render without gradients, the image itself where nothing is compared;
    bool `[B,H,W]`, where colour and borders may move the geometry. And of all compared pixels, as ascending flat
    indices `[N]`: the rendered colours `[N,3]`."""

    image: Tensor
    rendered: Tensor
    lit: Tensor
    pixels: Tensor
    colours: Tensor


class HeadFit(pl.LightningModule):
    """Fits one head to one capture.

    Args:
        config: the settings, with the stages.
        capture: the capture.
        data: serves the views; the module tells it what the next chunk of steps needs.
        head: the head model.
        classes: classes that both the capture's masks and the model know.
    """

    class_of_label: Tensor
    class_weight: Tensor
    photometric_class: Tensor
    turning_class: Tensor
    landmark_trust: Tensor
    texture_started: Tensor
    visited: Tensor

    def __init__(
        self, config: FitConfig, capture: Capture, data: CaptureData, head: HeadModel, classes: LabelClasses
    ) -> None:
        super().__init__()
        self.config = config
        self.capture = capture
        self.data = data
        self.classes = classes
        self.plan = Plan(config.stages, config.steps_per_checkpoint, len(capture.frames), config.key_frames)
        self.geometry = FitParameters(head, len(capture.frames), config.offset_smoothness)
        centres = torch.tensor(np.stack([camera.centre for camera in capture.cameras]), dtype=torch.float32)
        self.appearance = Appearance(config.texture_size, centres, data.training_cameras)
        self.contour = JawContour(head) if head.has_landmarks else None
        self.renderer = HeadRenderer(head)
        weights = [config.class_weights.get(name, 1.0) for name in classes.names]
        photometric = [name in PHOTOMETRIC_CLASSES for name in classes.names]
        self.register_buffer("class_of_label", torch.as_tensor(classes.from_model), persistent=False)
        self.register_buffer("class_weight", torch.tensor(weights), persistent=False)
        self.register_buffer("photometric_class", torch.tensor(photometric), persistent=False)
        turning = [name in TURNING_CLASSES for name in classes.names]
        self.register_buffer("turning_class", torch.tensor(turning), persistent=False)
        self.register_buffer("landmark_trust", torch.ones(len(capture.frames), len(capture.cameras), 68))
        self.register_buffer("visited", torch.zeros(len(capture.frames), dtype=torch.bool))
        self.register_buffer("texture_started", torch.zeros((), dtype=torch.bool))
        self.latest: dict[str, float] = {}

    # ---- stages ------------------------------------------------------------------------------------------------

    @property
    def chunk(self) -> PlannedChunk:
        """The chunk of steps that the current epoch runs."""
        return self.plan.chunks[min(self.trainer.current_epoch, len(self.plan.chunks) - 1)]

    @property
    def stage_name(self) -> str:
        return self.chunk.stage

    @property
    def stage(self) -> Stage:
        return self.config.stages[self.stage_name]

    @property
    def use_landmarks(self) -> bool:
        """Whether landmarks are compared: the settings want it, and the head model has some."""
        return self.config.use_landmarks and self.contour is not None

    @property
    def has_texture(self) -> bool:
        """Whether the texture holds colours yet."""
        return bool(self.texture_started)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        groups = [
            *self.geometry.groups(),
            {"name": "texture", "params": list(self.appearance.levels)},
            {"name": "light", "params": [self.appearance.light, self.appearance.camera_light, self.appearance.gloss]},
            {"name": "gain", "params": [self.appearance.log_gain]},
        ]
        return FitAdam(groups)

    def train_dataloader(self) -> Any:
        """The views of the current chunk of steps; Lightning asks anew for every epoch."""
        chunk = self.plan.data_chunk(self.chunk, self.capture)
        self.data.chunk = replace(chunk, rank=self.trainer.global_rank, processes=self.trainer.world_size)
        return self.data.train_dataloader()

    def on_train_start(self) -> None:
        take_from_first(self)

    def on_train_epoch_start(self) -> None:
        optimizer = self.optimizers(use_pl_optimizer=False)
        self.geometry.start_like_nearest(self.chunk.frames, self.visited)
        self.visited[list(self.chunk.frames)] = True
        if self.chunk.starts_stage:
            optimizer.state.clear()  # type: ignore[union-attr]
            if self.stage.rates.get("texture") and not self.has_texture:
                start_appearance(self, self.plan.data_chunk(self.chunk, self.capture).scale)
                self.texture_started.fill_(True)
                take_from_first(self.appearance)
        for group in optimizer.param_groups:  # type: ignore[union-attr]
            moves = self.stage.rates.get(group["name"], 0.0) > 0
            for parameter in group["params"]:
                parameter.requires_grad_(moves)

    # ---- one step ----------------------------------------------------------------------------------------------

    def training_step(self, batch: ViewBatch, batch_idx: int) -> Tensor:
        """Loss of one batch of views; every term is logged under `loss/`."""
        weights = self.stage.weights
        for group in self.optimizers(use_pl_optimizer=False).param_groups:  # type: ignore[union-attr]
            group["lr"] = self.stage.rates.get(group["name"], 0.0) * self.chunk.fall(self.global_step, self.stage)
        frames, frame_of_view = torch.unique(batch.frame, return_inverse=True)
        v_frames, offsets = self.geometry(frames)
        v_views = v_frames.index_select(0, frame_of_view)
        batch, cameras = crop_to_head(batch, self.view_cameras(batch), v_views, self.stage.blur)
        seen = self.renderer.see(v_views, cameras)
        weight = ((batch.label_weight == 255) & ~seen.beyond).float()
        target = batch.label_prob.float() / 255
        area = self._head_area(target, weight, seen)
        terms: dict[str, Tensor] = {}
        if weights.mask:
            terms["mask"] = self._mask_term(seen, target, weight, area)
        if weights.photometric:
            normals = self.renderer.normals(v_frames).index_select(0, frame_of_view)
            terms["photometric"] = self._photometric_term(batch, seen, normals, target, area)
        if weights.landmark and self.use_landmarks:
            terms["landmark"] = self._landmark_term(batch, v_views, cameras, area)
        terms |= self._priors(batch.frame, offsets)
        if weights.temporal:
            terms["temporal"] = self._temporal_term(frames, v_frames)[frame_of_view].mean()
        share = self._shares(batch)
        terms = {name: term * share[int(name == "landmark")] for name, term in terms.items()}
        scale = asdict(weights)
        total = torch.stack([scale[name] * term for name, term in terms.items() if scale[name]]).sum()
        self._watch(total, terms)
        return total

    def _shares(self, batch: ViewBatch) -> Tensor:
        """`[2]`: what this process's mean over views, and its weighted mean over landmarks, count in the whole step."""
        trust = self.landmark_trust[batch.frame, batch.camera]
        own = torch.stack([trust.new_tensor(len(batch.frame)), (batch.landmark_weight * trust).sum()])
        return own.clamp_min(1.0) / summed(own).clamp_min(1.0)

    def view_cameras(self, batch: ViewBatch) -> CameraBatch:
        """The cameras of a batch, at the batch's image size."""
        height, width = batch.image.shape[1:3]
        cameras = [self.capture.cameras[i] for i in batch.camera.tolist()]
        scale = max(width, height) / max(cameras[0].width, cameras[0].height)
        return CameraBatch.of([camera.scaled(scale) for camera in cameras], device=self.device)

    def _head_area(self, target: Tensor, weight: Tensor, seen: Visible) -> Tensor:
        """Pixels `[B]` that show the head: by the mask where there is one, else by the render."""
        masked = ((1 - target[..., 0]) * weight).sum((1, 2))
        rendered = seen.head.sum((1, 2)).to(masked)
        return torch.where(weight.sum((1, 2)) > 0, masked, rendered).clamp_min(100.0)

    def _mask_term(self, seen: Visible, target: Tensor, weight: Tensor, area: Tensor) -> Tensor:
        if not self.stage.blur:
            wrong = self.renderer.label_loss(seen, self.class_of_label, self.class_weight, target)
            return losses.share_of_head(wrong * weight, area)
        rendered = self.renderer.label_probabilities(seen, self.class_of_label, len(self.classes))
        return losses.blurred_mask_loss(rendered, target, weight, self.class_weight, area, self.stage.blur)

    def _photometric_term(
        self, batch: ViewBatch, seen: Visible, normals: Tensor, target: Tensor, area: Tensor
    ) -> Tensor:
        """Colour against the image. Where colour is not compared, the render goes on as it is beside: so only jumps
        between compared pixels, and no border to what is unknown, move the geometry."""
        shown = self.compare_colours(batch, seen, normals, target)
        lit, views = shown.lit, len(area)
        beside = losses.continued(shown.rendered, lit).flatten(0, 2)
        is_lit = lit.flatten()[shown.pixels]
        image = beside.index_copy(0, shown.pixels[is_lit], shown.colours[is_lit]).view_as(shown.image)
        moving = losses.share_of_head(self.renderer.colour_loss(image, shown.image, seen) * lit, area)
        rest = shown.pixels[~is_lit]
        filling = losses.colour_loss(shown.colours[~is_lit], shown.image.flatten(0, 2)[rest])
        return moving + (filling / area[rest // lit[0].numel()]).sum() / views

    def compare_colours(self, batch: ViewBatch, seen: Visible, normals: Tensor, target: Tensor) -> ShownColours:
        """Render the colours of a batch where they can be compared with its images.

        Args:
            batch: the views.
            seen: their visibility.
            normals: unit vertex normals `[B,V,3]` of the same heads.
            target: `batch.label_prob` in [0,1].
        """
        image = batch.image.float() / 255
        has_mask = (batch.label_weight > 0).flatten(1).any(1)[:, None, None]
        on_head = seen.head & batch.image_valid[:, None, None] & ((target[..., 0] < 0.01) | ~has_mask)
        label = self.renderer.face_labels[seen.index_img.long().clamp(0, self.renderer.face_count - 1)]
        of_model = self.class_of_label[label].clamp_min(0)

        # Where model and mask both see a class of the kind.
        kinds = torch.stack([self.photometric_class, self.turning_class], dim=1)
        agreed = on_head[..., None] & kinds[of_model] & ((target @ kinds.to(target) > 0.99) | ~has_mask[..., None])
        lit, turning = agreed.unbind(-1)
        pixels = on_head.flatten().nonzero()[:, 0]
        still = ~(lit | turning).flatten().index_select(0, pixels)
        colours = self.renderer.shade(seen, normals, self.appearance, batch.camera, pixels, still)
        rendered = image.flatten(0, 2).index_copy(0, pixels, colours.detach()).view_as(image)
        return ShownColours(image, rendered, lit, pixels, colours)

    def _landmark_term(self, batch: ViewBatch, v_views: Tensor, cameras: CameraBatch, area: Tensor) -> Tensor:
        assert self.contour is not None  # see use_landmarks
        outline = contour_points(v_views, self.geometry.head.faces, *self.contour(v_views, cameras.centres()))
        inner = self.geometry.landmarks(v_views)[:, CONTOUR:]
        points = cameras.project(torch.cat([outline, inner], dim=1))[..., :2]
        trust = self.landmark_trust[batch.frame, batch.camera]
        return losses.landmark_loss(points, batch.landmarks, batch.landmark_weight * trust, area)

    def _priors(self, frames: Tensor, offsets: Tensor) -> dict[str, Tensor]:
        """Of the views' frames `[B]`, each as often as it has views: a mean over views splits over processes."""
        p = self.geometry
        return {
            "identity": losses.identity_prior(p.identity),
            "expression": losses.expression_prior(p.expression[frames], p.head.expression_lowest),
            "joints": p.joints_raw[frames].square().sum((1, 2)).mean(),
            "placement": p.placement_raw.square().sum() / max(1, len(p.placement_raw)),
            "offsets": p.smooth.bending(offsets),
            "detail": p.detail_raw[frames].square().sum((1, 2)).mean(),
        }

    def _temporal_term(self, frames: Tensor, v_frames: Tensor) -> Tensor:
        """`[N]`, of frames `[N]` with vertices `[N,V,3]`; neighbours that are not among them are made anew."""
        beside, there = neighbours(frames, self.visited)
        points = v_frames[:, ::STRIDE]
        needed, row = torch.unique(torch.cat([frames, beside.flatten()]), return_inverse=True)
        around = points.new_zeros(len(needed), *points.shape[1:])
        around[row[: len(frames)]] = points.detach()
        missing = self.visited[needed] & ~torch.isin(needed, frames)
        if missing.any():
            with torch.no_grad():
                around[missing] = self.geometry(needed[missing])[0][:, ::STRIDE]
        return temporal_prior(points, around[row[len(frames) :].view_as(beside)], there)

    def _watch(self, total: Tensor, terms: dict[str, Tensor]) -> None:
        names = list(terms)
        sums = summed(torch.stack([total, *terms.values()]).detach())
        if not torch.isfinite(sums[0]):
            bad = [name for name, term in zip(names, sums[1:], strict=True) if not torch.isfinite(term)]
            raise HeadfitError(
                f"step {self.global_step} (stage {self.stage_name}): loss {', '.join(bad) or 'sum'} is not finite; "
                "stopped, the last good checkpoint is kept. Lower the stage's rates or check the capture."
            )
        values = dict(zip(names, sums[1:].tolist(), strict=True))
        shown = ("mask", "photometric", "landmark")
        self.latest = {name: values[name] for name in shown if name in values}
        self.log_dict({f"loss/{self.stage_name}/{name}": value for name, value in values.items()})
        self.log("loss/total", sums[0])
        groups = self.optimizers(use_pl_optimizer=False).param_groups  # type: ignore[union-attr]
        self.log_dict({f"rate/{group['name']}": group["lr"] for group in groups if group["lr"] > 0})

    def on_after_backward(self) -> None:
        groups = self.optimizers(use_pl_optimizer=False).param_groups  # type: ignore[union-attr]
        sum_gradients(parameter for group in groups for parameter in group["params"])

    def on_before_zero_grad(self, optimizer: Any) -> None:
        self.geometry.clamp()

    # ---- checkpoints -------------------------------------------------------------------------------------------

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["head"] = {"name": self.config.head, "fingerprint": self.geometry.head.fingerprint}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Raises HeadfitError where the checkpoint was made with another head: its numbers mean nothing on this one."""
        made_with = checkpoint.get("head")
        if made_with and made_with["fingerprint"] != self.geometry.head.fingerprint:
            raise HeadfitError(
                f"the checkpoint was made with another head model (then {made_with['name']}, now {self.config.head}, "
                "with other contents); give the head of that time, or start a new run"
            )

    # ---- results -----------------------------------------------------------------------------------------------

    @torch.no_grad()
    def vertices(self, frame: int) -> Tensor:
        """World vertices `[V,3]` (metres) of one frame."""
        return self.geometry(torch.tensor([frame], device=self.device))[0][0]

    @torch.no_grad()
    def render(self, camera: CameraBatch, camera_index: int, frame: int) -> dict[str, NDArray[Any]]:
        """Layers (see HeadRenderer.layers) of one frame in one camera, as numpy, without the batch dimension.

        Colours take the gain of capture camera `camera_index`.
        """
        index = torch.tensor([camera_index], device=self.device)
        layers = self.renderer.layers(self.vertices(frame)[None], camera, self.appearance, index)
        return {name: layer[0].cpu().numpy() for name, layer in layers.items()}

    @torch.no_grad()
    def texture_image(self) -> NDArray[np.uint8]:
        """The albedo `[T,T,3]` uint8 RGB; row 0 is v = 1."""
        albedo = self.appearance.albedo()[0].clamp(0, 1).permute(1, 2, 0)
        return (albedo * 255).round().to(torch.uint8).cpu().numpy()
