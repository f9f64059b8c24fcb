"""Rows of the tables with one row per frame, their sparse gradients, and the memory of a frame."""

from pathlib import Path
from types import SimpleNamespace

import torch

from headfit.capture.camera import Camera
from headfit.capture.summary import CaptureSummary
from headfit.capture.world import WorldFrame
from headfit.fitting.config import FitConfig
from headfit.fitting.groups import entry_of, parameter_groups
from headfit.fitting.guard import _snapshot
from headfit.fitting.model import FittedHead
from headfit.fitting.optimizer import FitAdam
from headfit.fitting.rows import dense, rows_of, zeros

#: Bytes of all that a fit keeps of one more frame, besides 68 a camera: a thousand numbers.
FRAME_BYTES = 4100


def test_rows_have_the_gradient_of_indexing():
    table = torch.randn(5, 7, 3, requires_grad=True)
    footprint = torch.randn(4, 7)
    for frames in (torch.tensor([3]), torch.tensor([0, 3]), torch.tensor([3, 0, 3])):
        found, expected = (
            torch.autograd.grad(torch.einsum("vk,nkd->nvd", footprint, rows).square().sum(), table)[0]
            for rows in (rows_of(table, frames), table[frames])
        )
        assert found.is_sparse and found._values().shape[0] == len(frames)
        for way in (dense(found), found.to_dense()):
            torch.testing.assert_close(way, expected)


def test_a_step_by_sparse_gradients_is_that_by_dense_ones():
    start = torch.randn(6, 4, 3)
    tables = [start.clone().requires_grad_() for _ in range(2)]
    for isotropic in (False, True):
        optimizers = [FitAdam([{"params": [t], "lr": 0.1, "rows": True, "isotropic": isotropic}]) for t in tables]
        for step in range(4):
            frames = torch.tensor([step, 5])
            for table, optimizer, rows in zip(tables, optimizers, (rows_of, lambda t, f: t[f]), strict=True):
                optimizer.zero_grad()
                ((rows(table, frames) - 1) ** 4).sum().backward()  # two uses of the rows in one step
                (rows(table, frames[[1, 1]]) ** 2).sum().backward()
                optimizer.step()
        torch.testing.assert_close(*tables)
        for name, value in optimizers[0].state[tables[0]].items():
            torch.testing.assert_close(value, optimizers[1].state[tables[1]][name])


def model_of(frames: int) -> FittedHead:
    eye = torch.eye(3).double().numpy()
    cameras = [Camera(f"cam{i}", 40, 50, eye * [50, 50, 1], eye, eye[2]) for i in range(2)]
    names = [str(frame) for frame in range(frames)]
    summary = CaptureSummary("long", names, 25.0, cameras, {}, WorldFrame.identity())
    return FittedHead.build(FitConfig(texture_size=16), summary)


def test_one_more_frame_costs_four_kilobytes():
    model = model_of(3)
    sizes = {name: value.nbytes for name, value in model.state_dict().items()}
    of_frame = sum(size for name, size in sizes.items() if entry_of(name).scope == "frame") // 3
    of_view = sum(size for name, size in sizes.items() if entry_of(name).scope == "view") // 3
    assert of_frame <= FRAME_BYTES and of_view == (68 + 4) * 2  # trust of landmarks, and of the mask


def test_the_backward_pass_keeps_nothing_of_frames_that_a_step_does_not_draw():
    model = model_of(50)
    v, _ = model.geometry(torch.tensor([7, 30]))
    v.square().sum().backward()
    tables = [p for group in parameter_groups(model) if group["rows"] for p in group["params"]]
    assert len(tables) == 5
    for table in tables:
        assert table.grad is not None and table.grad.is_sparse and table.grad._values().shape[0] == 2


def anonymous() -> int:
    """Bytes of memory of this process that are no pages of files."""
    text = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in text.splitlines() if line.startswith("RssAnon"))


def test_a_large_table_is_a_file_and_counts_as_memory_only_where_it_is_used():
    before = anonymous()
    table = zeros((10000, 200, 3))
    assert (table == 0).all() and table.nbytes == 24_000_000
    table[77] = 1.0
    assert table.sum() == 600 and anonymous() - before < 12_000_000
    flags = zeros((10000, 1000), torch.bool)
    flags[7, 5] = True
    assert flags.shape == (10000, 1000) and flags.sum() == 1


def test_the_state_that_a_guard_keeps_of_a_long_take_is_in_files():
    model = model_of(10_000)
    before = anonymous()
    kept = _snapshot(SimpleNamespace(model=model), {})["model"]
    assert anonymous() - before < 10_000_000 < sum(value.nbytes for value in kept.values()) / 2
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        model.geometry.detail_mm[5] = 1.0
    assert not kept["geometry.detail_mm"].any()
