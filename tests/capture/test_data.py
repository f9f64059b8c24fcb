"""Views at an image scale, the cache, the data module under Lightning, and what is skipped."""

import json
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import cv2
import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from headfit.capture import Camera, LabelClasses, label_classes, open_capture
from headfit.capture.data import CaptureData, Chunk
from headfit.capture.framing import Framing, HeadWindow
from headfit.capture.views import ByteBoundedCache, View, ViewBatch, label_shares
from headfit.errors import HeadfitError

WriteCapture = Callable[..., Path]

NAMES = ("background", "skin", "lips", "left_eye", "right_eye")
MODEL = NAMES[1:]


def open_data(root: Path, **options: object) -> CaptureData:
    capture = open_capture(root)
    classes = label_classes(MODEL, capture.label_names)
    assert classes.names == NAMES
    return CaptureData(capture, classes, **options)  # type: ignore[arg-type]


def at_scale(data: CaptureData, scale: float) -> tuple[Framing, ...]:
    """Whole images, scaled down."""
    windows = [HeadWindow.whole(camera.width, camera.height) for camera in data.capture.cameras]
    return tuple(window.framing(scale * window.head_size) for window in windows)


def view_batch(data: CaptureData, pairs: list[tuple[int, int]], scale: float) -> ViewBatch:
    return data.view_batch(pairs, at_scale(data, scale))


def test_label_shares_are_the_area_of_each_class() -> None:
    """A 4x4 mask resized to 2x2: a pixel of one class, one of two halves, one of quarters, one half ignored."""
    from_capture = np.full(256, -1)
    from_capture[:3] = [0, 1, 2]
    classes = LabelClasses(("background", "skin", "lips"), np.array([1, 2]), from_capture, np.zeros(256, bool))
    mask = np.array([[0, 0, 0, 1], [0, 0, 0, 1], [0, 1, 9, 2], [1, 2, 9, 1]], np.uint8)
    prob, weight, _ = label_shares(mask, classes, (2, 2))
    assert weight.tolist() == [[255, 255], [255, 128]]
    assert prob[0].tolist() == [[255, 0, 0], [128, 128, 0]]
    assert prob[1].tolist() == [[64, 128, 64], [0, 128, 128]]


def test_label_shares_of_thirds_cut_through_pixels() -> None:
    """3 pixels resized to 2: the middle one is split, so each new pixel is 2/3 one class and 1/3 the other."""
    classes = LabelClasses(("background", "skin"), np.array([1]), np.arange(256).clip(max=1), np.zeros(256, bool))
    prob, _, _ = label_shares(np.array([[0, 1, 0]], np.uint8), classes, (2, 1))
    assert prob.tolist() == [[[170, 85], [170, 85]]]


def test_a_wholly_ignored_pixel_and_a_missing_mask_have_no_weight() -> None:
    classes = LabelClasses(("background", "skin"), np.array([1]), np.array([0, 1] + [-1] * 254), np.zeros(256, bool))
    for mask in (np.full((4, 4), 9, np.uint8), None):
        prob, weight, _ = label_shares(mask, classes, (2, 2))
        assert not prob.any() and not weight.any() and prob.shape == (2, 2, 2)


def test_only_what_a_mask_does_not_know_is_unknown() -> None:
    classes = label_classes(["skin"], {0: "background", 1: "unknown", 2: "ignore"})
    mask = np.array([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 1, 1], [2, 2, 2, 1]], np.uint8)
    assert label_shares(mask, classes, (2, 2)).unknown.tolist() == [[False, True], [False, False]]
    assert label_shares(mask, classes, (2, 2)).weight.tolist() == [[255, 0], [0, 0]]
    assert not label_shares(None, classes, (2, 2)).unknown.any()


def test_a_batch_is_what_was_asked_for(write_capture: WriteCapture) -> None:
    data = open_data(write_capture())
    batch = view_batch(data, [(2, 1), (0, 0), (3, 2)], 0.5)
    assert batch.frame.tolist() == [2, 0, 3] and batch.camera.tolist() == [1, 0, 2]
    assert batch.image.shape == (3, 16, 12, 3) and batch.image.dtype == torch.uint8
    for view, (frame, camera) in enumerate([(2, 1), (0, 0), (3, 2)]):
        assert batch.image[view].unique(dim=0).shape[0] == 1  # the pictures are flat
        assert batch.image[view, 0, 0].tolist() == [7 * frame, 20 * camera, 0]
    assert batch.image_valid.all()
    assert batch.label_prob.shape == (3, 16, 12, 5) and batch.label_weight.unique().tolist() == [255]
    assert batch.label_prob[0, :, :, 1].sum() == 255 * 12 * 8  # skin covers 24 x 16 of the mask's pixels
    # A point at (2 + i/4, 3 + i/8) from the corner is halfway to the corner at half the scale.
    np.testing.assert_allclose(batch.landmarks[0, 8].numpy(), [2.0, 2.0])
    assert batch.landmark_weight.unique().tolist() == [1.0]
    assert batch.landmarks.dtype == batch.landmark_weight.dtype == torch.float32


def test_the_image_is_averaged_over_areas(write_capture: WriteCapture) -> None:
    root = write_capture()
    checks = np.zeros((32, 24, 3), np.uint8)
    checks[::2, ::2] = 200  # a quarter of every 2x2 block
    cv2.imwrite(str(root / "images" / "cam0" / "0000.png"), checks)
    assert view_batch(open_data(root), [(0, 0)], 0.5).image.unique().tolist() == [50]


def test_landmarks_follow_the_rounded_size(write_capture: WriteCapture) -> None:
    data = open_data(write_capture())
    batch = view_batch(data, [(0, 0)], 0.3)  # 24x32 to 7x10
    assert batch.image.shape == (1, 10, 7, 3)
    np.testing.assert_allclose(batch.landmarks[0, 0].numpy(), [2 * 7 / 24, 3 * 10 / 32], rtol=1e-6)


def test_nothing_is_magnified_and_nothing_resampled_by_little() -> None:
    window = HeadWindow(10, 20, 300, 400, head_size=200.0)
    assert window.framing(1000) == window.framing(161) == Framing(10, 20, 300, 400, 300, 400)
    assert window.framing(100) == Framing(10, 20, 300, 400, 150, 200)


def test_cameras_of_any_sizes_go_together(write_capture: WriteCapture) -> None:
    """A window of the first camera, all of the second at half the size: the smaller view is padded."""
    data = open_data(write_capture())
    framings = (Framing(4, 6, 12, 20, 12, 20), Framing(0, 0, 24, 32, 12, 16), Framing(0, 0, 24, 32, 24, 32))
    whole = data.view_batch([(1, 0)], at_scale(data, 1.0))
    batch = data.view_batch([(1, 0), (1, 1)], framings)
    assert batch.framings == framings[:2] and batch.image.shape == (2, 20, 12, 3)
    assert torch.equal(batch.image[0], whole.image[0, 6:26, 4:16])
    assert torch.equal(batch.label_prob[0], whole.label_prob[0, 6:26, 4:16])
    torch.testing.assert_close(batch.landmarks[0], whole.landmarks[0] - torch.tensor([4.0, 6.0]))
    assert batch.image_valid[0].all() and batch.image_valid[1, :16].all() and not batch.image_valid[1, 16:].any()
    assert not batch.label_weight[1, 16:].any() and batch.label_weight[1, :16].all()


def test_a_framed_camera_sees_what_the_framed_picture_shows() -> None:
    camera = Camera("c", 200, 100, np.array([[90.0, 2, 101], [0, 80, 47], [0, 0, 1]]), np.eye(3), np.zeros(3))
    framed = camera.framed(Framing(30, 10, 120, 80, 60, 20))
    points = np.array([[0.1, 0.2, 1.0], [-0.3, 0.1, 2.0]])
    assert (framed.width, framed.height) == (60, 20)
    np.testing.assert_allclose(framed.project(points), (camera.project(points) - [30, 10]) * [0.5, 0.25])
    whole = HeadWindow.whole(200, 100).framing(60)
    np.testing.assert_array_equal(camera.framed(whole).K, camera.scaled(0.3).K)


def test_unusable_files_are_counted_once_and_carry_no_weight(write_capture: WriteCapture) -> None:
    root = write_capture(suffix=".jpg")
    truncated = root / "images" / "cam0" / "0000.jpg"
    truncated.write_bytes(truncated.read_bytes()[:-9])
    (root / "images" / "cam0" / "0001.jpg").unlink()
    cv2.imwrite(str(root / "masks" / "cam0" / "0002.png"), np.zeros((8, 8), np.uint8))
    (root / "masks" / "cam0" / "0003.png").unlink()
    (root / "landmarks" / "cam0" / "0000.json").write_text("[]")
    (root / "landmarks" / "cam0" / "0001.json").unlink()
    data = open_data(root, cache_bytes=0)
    for _ in range(2):
        batch = view_batch(data, [(frame, 0) for frame in range(4)], 1.0)
    assert batch.image_valid.flatten(1).all(1).tolist() == [False, False, True, True]
    assert not batch.image[:2].any()
    assert [int(weight.sum()) > 0 for weight in batch.label_weight] == [True, True, False, False]
    assert [int(weight.sum()) for weight in batch.landmark_weight] == [0, 0, 68, 68]
    assert {kind: len(entries) for kind, entries in data.skipped.items()} == {
        "damaged image": 1,
        "missing image": 1,
        "damaged mask": 1,
        "missing mask": 1,
        "damaged landmarks": 1,
    }
    assert f"cam0{os.sep}0000.jpg: truncated JPEG" in data.skipped["damaged image"][0]
    assert "camera cam0, frame 0001" in data.skipped["missing image"][0]
    assert "is 8x8" in data.skipped["damaged mask"][0]


def test_held_out_cameras_are_never_drawn(write_capture: WriteCapture) -> None:
    data = open_data(write_capture(), hold_out=["cam1"])
    data.chunk = Chunk(0, 20, at_scale(data, 1.0), 4, 3)
    assert {int(camera) for batch in data.train_dataloader() for camera in batch.camera} == {0, 2}
    assert (data.training_cameras, data.hold_out_cameras) == ([0, 2], [1])
    assert view_batch(data, [(0, 1)], 1.0).camera.tolist() == [1]  # asked for by name, it is there


def test_an_unknown_held_out_camera_lists_the_cameras(write_capture: WriteCapture) -> None:
    with pytest.raises(HeadfitError, match=r"no camera 'cam7' .*cam0, cam1, cam2"):
        open_data(write_capture(), hold_out=["cam7"])


def test_nothing_left_to_train_on_is_an_error(write_capture: WriteCapture) -> None:
    root = write_capture()
    with pytest.raises(HeadfitError, match="every camera is held out"):
        open_data(root, hold_out=["cam0", "cam1", "cam2"])
    (root / "images").rename(root / "pictures")
    assert open_data(root)  # masks alone can be fitted
    (root / "masks").rename(root / "labels")
    with pytest.raises(HeadfitError, match="neither images nor masks"):
        open_data(root)


def test_a_chunk_gives_its_steps_and_a_resumed_one_the_same(write_capture: WriteCapture) -> None:
    root = write_capture()

    def views(first: int, steps: int, seed: int = 4) -> list[list[tuple[int, int]]]:
        data = open_data(root, seed=seed)
        chunk = data.chunk = Chunk(first, steps, at_scale(data, 0.5), 3, 2)
        loader = data.train_dataloader()
        batches = [list(zip(b.frame.tolist(), b.camera.tolist(), strict=True)) for b in loader]
        assert len(batches) == len(loader) == chunk.steps
        return batches

    unbroken = views(0, 9)
    assert views(5, 4) == unbroken[5:]
    assert views(0, 9, seed=5) != unbroken


def test_an_abandoned_loader_ends_its_thread(write_capture: WriteCapture) -> None:
    data = open_data(write_capture())
    data.chunk = Chunk(0, 1000, at_scale(data, 1.0), 1, 1)
    iterator = iter(data.train_dataloader())
    next(iterator)
    iterator.close()  # type: ignore[attr-defined]
    with pytest.raises(StopIteration):
        next(iterator)


def test_a_fault_in_the_thread_reaches_the_reader(write_capture: WriteCapture) -> None:
    data = open_data(write_capture())
    with pytest.raises(IndexError):
        list(data.batches([[(99, 0)]], at_scale(data, 1.0)))


def view_of(nbytes: int) -> View:
    empty = torch.zeros(0)
    return View(torch.zeros(nbytes, dtype=torch.uint8), *[empty] * (len(fields(View)) - 1))


def test_the_cache_keeps_to_its_bytes_and_drops_the_least_recently_used() -> None:
    cache = ByteBoundedCache(100)
    read: list[str] = []

    def get(key: str, nbytes: int = 40) -> None:
        cache.get(key, lambda: read.append(key) or view_of(nbytes))  # type: ignore[func-returns-value]
        assert cache.nbytes <= 100

    for key in ("a", "b", "a", "c", "a", "b"):  # c drives out b, then b drives out c
        get(key)
    assert read == ["a", "b", "c", "b"]
    get("large", nbytes=101)  # larger than the cache: served, not kept
    assert cache.nbytes == 0


class Recorder(pl.LightningModule):
    """Trains one chunk per epoch and records the batches it gets."""

    def __init__(self, data: CaptureData, chunks: list[Chunk]):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.data, self.chunks = data, chunks
        self.served: list[tuple[int, ...]] = []
        data.chunk = chunks[0]

    def training_step(self, batch: ViewBatch, _: int) -> torch.Tensor:
        self.served.append(tuple(batch.image.shape))
        self.log("frames", float(len(batch.frame)), batch_size=len(batch.frame))
        return self.weight**2

    def on_train_epoch_end(self) -> None:
        if self.current_epoch + 1 < len(self.chunks):
            self.data.chunk = self.chunks[self.current_epoch + 1]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_lightning_reloads_a_chunk_an_epoch(write_capture: WriteCapture, tmp_path: Path) -> None:
    data = open_data(write_capture(), hold_out=["cam2"])
    module = Recorder(data, [Chunk(0, 3, at_scale(data, 0.25), 2, 1), Chunk(3, 2, at_scale(data, 1.0), 4, 2)])
    trainer = pl.Trainer(
        max_epochs=2,
        reload_dataloaders_every_n_epochs=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, datamodule=data)
    assert module.served == [(2, 8, 6, 3)] * 3 + [(8, 32, 24, 3)] * 2


def test_a_batch_moves_to_a_device(write_capture: WriteCapture) -> None:
    batch = view_batch(open_data(write_capture()), [(0, 0)], 1.0)
    moved = [value for name, value in vars(batch.to("meta")).items() if name not in ("framings", "pairs")]
    assert {value.device.type for value in moved} == {"meta"}


def test_views_of_the_real_capture(real_capture: Path) -> None:
    capture = open_capture(real_capture)
    model = json.loads((real_capture / "capture.json").read_text())["classes"].values()
    classes = label_classes(tuple(model), capture.label_names)
    data = CaptureData(capture, classes, hold_out=["cam02"])
    batch = view_batch(data, [(5, 2), (5, 3)], 0.25)
    assert batch.image.shape == (2, 128, 96, 3) and not data.skipped
    lips = classes.names.index("lips")
    mask = capture.mask(2, 5)
    assert mask is not None
    share = batch.label_prob[0, ..., lips].sum() / 255 * 16
    assert abs(float(share) - (mask == 3).sum()) < 0.01 * (mask == 3).sum()


def test_pictures_that_vanish_end_the_fit(write_capture: WriteCapture) -> None:
    root = write_capture()
    data = open_data(root, cache_bytes=0)
    view_batch(data, [(0, 0)], 1.0)
    (root / "images" / "cam1" / "0001.png").unlink()
    assert not view_batch(data, [(1, 1)], 1.0).image_valid.any(), "a single one is skipped"
    (root / "images").rename(root / "gone")
    with pytest.raises(HeadfitError, match=r"camera cam0, frame 0000: its picture, which has been read, .*--resume"):
        view_batch(data, [(2, 1)], 1.0)
