"""How a fit makes masks, and when those that are given are rough."""

import numpy as np
import pytest
import torch

from headfit.fitting.fit_masks import FitMasks, key_views, make_masks, masks_are_rough
from headfit.fitting.model import FittedHead
from headfit.segmentation.labels import BACKGROUND, HAIR, LABELS_BY_FIT, LIPS, SKIN
from tests.support.made_run import made_model


class Painted:
    """What the cameras of a model see, each part in a colour of its own; masks know the background."""

    def __init__(self, model: FittedHead) -> None:
        self.label_names = {0: "background", 1: "unknown"}
        self.frames, self.cameras = model.capture.frames, model.capture.cameras
        self._labels = [model.render(camera, 0)["label"] for camera in self.cameras]
        rng = np.random.default_rng(0)
        self._colours = rng.integers(60, 255, (len(model.head.label_names) + 1, 3)).astype(np.uint8)
        self._colours[-1] = 0

    def has_mask(self, camera: int, frame: int) -> bool:
        return (camera, frame) != (1, 0)

    def has_image(self, camera: int, frame: int) -> bool:
        return (camera, frame) != (2, 1)

    def image(self, camera: int, frame: int):
        return None if (camera, frame) == (2, 1) else self._colours[self._labels[camera]]

    def mask(self, camera: int, frame: int):
        return (self._labels[camera] >= 0).astype(np.uint8)


@pytest.mark.slow
def test_made_masks_end_where_the_colours_change(tmp_path, monkeypatch):
    """The head is 2 mm beside what the pictures show: the masks show what the pictures show."""
    model = made_model(2)
    capture = Painted(model)
    with torch.no_grad():
        model.geometry.translation[:, 0] += 0.002
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    views = key_views(model, capture, [0, 1], need_given=True)
    assert views == [(0, 0), (2, 0), (0, 1), (1, 1)], "one view has no picture, and one no mask"
    assert len(key_views(model, capture, [0, 1], need_given=False)) == 5
    assert make_masks(model, capture, views, tmp_path) == (4, True)
    made = FitMasks(capture, tmp_path, LABELS_BY_FIT)
    names = model.head.label_names
    is_lip = [index for index, name in enumerate(names) if "lip" in name]
    for camera in (0, 1):
        mask = made.mask(camera, 1)
        lips, shown = mask == LIPS, np.isin(capture._labels[camera], is_lip)
        drawn = np.isin(model.render(capture.cameras[camera], 1)["label"], is_lip)

        def overlap(mine, theirs):
            return (mine & theirs).sum() / (mine | theirs).sum()

        assert overlap(lips, shown) > overlap(drawn, shown) + 0.05
        assert {BACKGROUND, SKIN, HAIR} <= set(np.unique(mask))
    np.testing.assert_array_equal(made.mask(0, 0), made.mask(0, 1), "whatever the thread")


@pytest.mark.slow
def test_large_pictures_are_reduced_for_it(tmp_path, monkeypatch):
    model = made_model(1)
    capture, names = Painted(model), ("whole", "reduced")
    for name, across in zip(names, (1200, 55), strict=True):
        monkeypatch.setattr("headfit.fitting.fit_masks.MAX_ACROSS", across)
        make_masks(model, capture, [(0, 0)], tmp_path / name)
    whole, reduced = (FitMasks(capture, tmp_path / name, LABELS_BY_FIT).mask(0, 0) for name in names)
    assert whole.shape == reduced.shape == (80, 60)
    assert 0.8 < (whole == reduced).mean() < 1 and (reduced == LIPS).any()
    borders = [(np.diff(mask.astype(int), axis=1) != 0).any(0).sum() for mask in (whole, reduced)]
    assert borders[1] < borders[0], "they lie between the larger pixels"


class Parsed(Painted):
    """As a parser sees it: lips are `shift` pixels off, to another side in each view."""

    def __init__(self, model: FittedHead, shift: int) -> None:
        super().__init__(model)
        self.label_names, self._shift = {0: "background", 1: "skin", 2: "lips"}, shift
        self._is_lip = [index for index, name in enumerate(model.head.label_names) if "lip" in name]

    def has_mask(self, camera: int, frame: int) -> bool:
        return True

    def has_image(self, camera: int, frame: int) -> bool:
        return True

    def image(self, camera: int, frame: int):
        return self._colours[self._labels[camera]]

    def mask(self, camera: int, frame: int):
        away = (-1) ** (camera + frame) * self._shift
        lips = np.roll(np.isin(self._labels[camera], self._is_lip), away, axis=(camera + frame) % 2)
        return np.where(lips, 2, self._labels[camera] >= 0).astype(np.uint8)


@pytest.mark.slow
def test_masks_are_rough_where_lips_by_the_colours_agree_better_with_the_head(monkeypatch):
    model = made_model(2)
    assert not masks_are_rough(model, Parsed(model, 2), range(2)), "lips of some 30 pixels tell nothing"
    monkeypatch.setattr("headfit.fitting.fit_masks.MIN_LIPS", 20)
    frames = range(len(model.capture.frames))
    assert masks_are_rough(model, Parsed(model, 2), frames)
    assert not masks_are_rough(model, Parsed(model, 0), frames)
    few = Parsed(model, 2)
    few.has_image = lambda camera, frame: (camera, frame) == (0, 0)
    assert not masks_are_rough(model, few, frames), "one view tells too little"
    lipless = Parsed(model, 2)
    lipless.label_names = {0: "background", 1: "skin"}
    assert not masks_are_rough(model, lipless, frames)


@pytest.mark.slow
def test_a_scalp_that_looks_like_skin_is_no_hair(tmp_path):
    """The scalp has the colour of the skin."""
    model = made_model(1)
    capture = Painted(model)
    names = model.head.label_names
    like_skin = [names.index(name) for name in ("hair", "brows", "ears", "nose", "neck")]
    capture._colours[like_skin] = capture._colours[names.index("skin")]
    assert make_masks(model, capture, [(0, 0), (2, 0)], tmp_path) == (2, False)
