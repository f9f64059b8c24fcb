"""Text files of any editor and locale, and messages when a file cannot be read or written."""

import errno
import os
import subprocess
import sys

import pytest

from headfit.errors import HeadfitError
from headfit.files import describe, failures_named, make_folder, read_text, write_atomically, write_text
from headfit.synth import synthesize


@pytest.mark.parametrize("saved", ["naïve\n{}\n".encode(), "\ufeffnaïve\r\n{}\r\n".encode()])
def test_a_byte_order_mark_and_windows_line_ends_are_no_content(tmp_path, saved):
    (tmp_path / "file").write_bytes(saved)
    assert read_text(tmp_path / "file") == "naïve\n{}\n"


@pytest.mark.parametrize("saved", ["naïve".encode("latin-1"), "naïve".encode("utf-16")])
def test_text_that_is_not_utf_8_is_named(tmp_path, saved):
    (tmp_path / "file.json").write_bytes(saved)
    with pytest.raises(HeadfitError, match=r"file\.json: not UTF-8 text \(byte 0x.. at offset \d+\); save it as UTF-8"):
        read_text(tmp_path / "file.json")


@pytest.mark.parametrize("write", [write_text, write_atomically])
def test_text_is_written_as_utf_8(tmp_path, write):
    write(tmp_path / "file", "naïve\n")
    assert (tmp_path / "file").read_bytes() == "naïve\n".encode()


def full(*_):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, "old")
    monkeypatch.setattr("headfit.files.os.fsync", full)
    with pytest.raises(HeadfitError, match=r"/file: No space left on device; free some space"):
        write_atomically(path, "new")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_a_path_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file/run"):
        with pytest.raises(HeadfitError, match=r"file(/run)?: .*; a file is in the way"):
            make_folder(path)


def test_the_name_in_an_error_wins_over_the_name_around_it(tmp_path):
    with (
        pytest.raises(HeadfitError, match=r"/inner: No such file or directory; check the path$"),
        failures_named(tmp_path),
    ):
        (tmp_path / "inner").read_text()
    assert describe(OSError("3 requested and 1 written"), tmp_path) == f"{tmp_path}: 3 requested and 1 written"
    assert describe(OSError(errno.EIO, "broken")) == "broken; the disk or the network failed; check it, and try again"


def test_files_of_any_editor_are_read_in_any_locale(tmp_path):
    """A byte order mark and names beyond ASCII in a capture and a configuration, where the locale knows ASCII only."""
    synthesize(tmp_path / "capture", cameras=2, frames=1, width=48, height=64, seed=0)
    manifest = tmp_path / "capture/capture.json"
    manifest.write_text(manifest.read_text().replace('"name": "', '"name": "Zoë '), encoding="utf-8-sig")
    for path in (tmp_path / "capture").glob("landmarks/*/*.json"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    config = tmp_path / "naïve.yaml"
    config.write_bytes("\ufeff# naïve\r\nseed: -5\r\nstages: {a: {}}\r\n".encode())
    script = (  # both in one process, since its start takes seconds
        "import sys; from headfit.cli import main; second = sys.argv.index('fit')\n"
        "print([main(sys.argv[1:second]), main(sys.argv[second:])])"
    )
    words = ["check", tmp_path / "capture", "fit", "--capture", tmp_path / "capture", "--out", tmp_path / "run"]
    command = [sys.executable, "-c", script, *words, "--config", config]
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(command, capture_output=True, env=environment, timeout=200)
    assert done.stdout.splitlines()[-1] == b"[0, 2]", done.stderr
    assert b"not -5" in done.stderr and b"Traceback" not in done.stderr
