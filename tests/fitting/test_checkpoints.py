"""However a run is killed while it writes a checkpoint, an intact checkpoint remains."""

import errno
import os

import pytest
import torch

from headfit.errors import HeadfitError
from headfit.fitting import checkpoints
from headfit.fitting.checkpoints import (
    CHECKPOINT,
    PREVIOUS,
    checkpoint_step,
    find_checkpoint,
    keep_checkpoint,
    load_checkpoint,
)


class Killed(BaseException):
    pass


def save(run, number: int) -> None:
    keep_checkpoint(run, lambda path: torch.save({"number": number, "weights": torch.zeros(1000)}, path))


def number(run) -> int:
    return load_checkpoint(run)["number"]


def killed_while_writing(path):
    torch.save({"number": 3, "weights": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:700])
    raise Killed


def test_killed_while_writing(tmp_path):
    with pytest.raises(Killed):
        keep_checkpoint(tmp_path, killed_while_writing)
    assert find_checkpoint(tmp_path) is None
    save(tmp_path, 1)
    save(tmp_path, 2)
    with pytest.raises(Killed):
        keep_checkpoint(tmp_path, killed_while_writing)
    assert number(tmp_path) == 2
    save(tmp_path, 4)
    assert number(tmp_path) == 4


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("call", range(3))
def test_killed_between_two_system_calls(tmp_path, monkeypatch, call, when):
    save(tmp_path, 1)
    save(tmp_path, 2)
    calls = []

    def dying(real):
        def run(*args):
            calls.append(real.__name__)
            if len(calls) == call + 1 and when == "before":
                raise Killed
            real(*args)
            if len(calls) == call + 1:
                raise Killed

        return run

    with monkeypatch.context() as patch:
        for name in ("fsync", "replace"):
            patch.setattr(checkpoints.os, name, dying(getattr(os, name)))
        with pytest.raises(Killed):
            save(tmp_path, 3)
    assert number(tmp_path) == (3 if (call, when) == (2, "after") else 2)
    save(tmp_path, 4)
    assert number(tmp_path) == 4


def test_a_file_system_without_hard_links(tmp_path, monkeypatch):
    """exFAT and some FUSE and network file systems refuse them."""

    def refuse(*_, **__):
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    for count in (1, 2, 3):
        save(tmp_path, count)
    assert number(tmp_path) == 3
    (tmp_path / CHECKPOINT).unlink()
    assert number(tmp_path) == 2, "the one before it"


def test_a_full_disk_keeps_both_checkpoints_and_leaves_no_rest(tmp_path):
    def full(path):
        path.write_bytes(b"half of it")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    save(tmp_path, 1)
    save(tmp_path, 2)
    with pytest.raises(OSError, match="No space left"):
        keep_checkpoint(tmp_path, full)
    assert number(tmp_path) == 2
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["last.ckpt", "previous.ckpt"]


def test_the_step_of_a_checkpoint(tmp_path):
    keep_checkpoint(tmp_path, lambda path: torch.save({"global_step": 7, "weights": torch.zeros(1000)}, path))
    assert checkpoint_step(tmp_path / CHECKPOINT) == 7


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: flip(data)])
def test_a_damaged_last_checkpoint_gives_way_to_the_previous(tmp_path, damage, capsys):
    save(tmp_path, 1)
    save(tmp_path, 2)
    last = tmp_path / CHECKPOINT
    last.write_bytes(damage(last.read_bytes()))
    assert number(tmp_path) == 1
    assert str(last) in capsys.readouterr().err
    (tmp_path / PREVIOUS).unlink()
    with pytest.raises(HeadfitError, match="no intact checkpoint before it"):
        find_checkpoint(tmp_path)


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_a_folder_without_checkpoints(tmp_path):
    assert find_checkpoint(tmp_path) is None
    with pytest.raises(HeadfitError, match="no finished run"):
        load_checkpoint(tmp_path)
