"""`headfit import`, as a user calls it."""

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

from headfit import cli
from headfit.capture import open_capture
from tests.support import layout_writers as write
from tests.support.layout_cameras import assert_same_cameras, head_rig

SAMPLES = Path(os.environ.get("HEADFIT_LAYOUTS", Path(__file__).parents[4] / "shared" / "layouts"))


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    code = cli.main([str(word) for word in words])
    return code, *capsys.readouterr()


def test_it_writes_a_capture_and_says_what_the_cameras_look_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rig = head_rig(5)
    write.opencv(tmp_path, rig)
    code, out, _ = run(capsys, "import", tmp_path, "--out", tmp_path / "new" / "capture", "--cameras", "100,103,104")
    assert code == 0
    assert out.splitlines()[0].endswith(": opencv") and "look at       (0, 0, 0) m, 1.02 to 1.22 m away" in out
    assert "they do around a head" in out and "no pictures found" in out
    capture = open_capture(tmp_path / "new" / "capture")
    assert_same_cameras(capture.cameras, [rig[i] for i in (0, 3, 4)])


@pytest.mark.parametrize("words", [["multiface"], ["--layout", "multiface"], []])
def test_a_layout_is_named_in_two_ways_or_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    write.multiface(tmp_path, head_rig())
    options = words if words[:1] == ["--layout"] else []
    named = [] if options else words
    code, _, _ = run(capsys, "import", *named, tmp_path, *options, "--out", tmp_path / "c")
    assert code == 0 and (tmp_path / "c" / "capture.json").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nothing"], "no such file or folder"),
        (["folder"], "no known layout recognised there; name the calibration file itself"),
        (["vicon", "folder"], "unknown layout 'vicon'; the layouts are auto, nersemble,"),
        (["folder/KRT", "--cameras", "7"], "no camera 7; the cameras are 100, 101"),
        (["folder/KRT", "--frames", "1:2:3:4"], "--frames 1:2:3:4: expected START:STOP"),
        (["folder/bad_KRT"], "bad_KRT: cameras[0].K: expected [[fx,s,cx],[0,fy,cy],[0,0,1]]"),
        (["folder/KRT", "--images", "{camera}/{frame}"], "no pictures of 100, 101, 102"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    if "KRT" in words[0]:
        write.multiface(Path("folder"), head_rig())
        first, *rest = Path("folder/KRT").read_text().splitlines()
        Path("folder/bad_KRT").write_text("\n".join([first, f"-{rest[0]}", *rest[1:]]))
    code, _, err = run(capsys, "import", *words, "--out", "capture")
    assert code == 2 and message in err and err.count("\n") == 1
    assert not Path("capture").exists()


def test_a_capture_is_not_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write.multiface(tmp_path, head_rig())
    assert run(capsys, "import", tmp_path, "--out", tmp_path / "c")[0] == 0
    assert "already holds a capture" in run(capsys, "import", tmp_path, "--out", tmp_path / "c")[2]


def test_cameras_that_look_nowhere_are_imported_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As from a drone."""
    lines = ["#cameras 20", "#name,x,y,z,omega,phi,kappa"]
    lines += [f"a{i}.jpg,{10 * i},{(7 * i) % 30},100,{90 + i},{40 * np.sin(i)},{10 * i}" for i in range(20)]
    (tmp_path / "drone.csv").write_text("\n".join(lines))
    code, out, _ = run(capsys, "import", tmp_path / "drone.csv", "--size", "400x300", "--out", tmp_path / "c")
    assert code == 0
    assert "does not look like cameras around a head" in out and "a GUESS" in out


@pytest.mark.parametrize(
    ("sample", "cameras", "options"),
    [
        ("blender", 2, []),
        ("colmap/txt", 11, []),
        ("colmap/bin", 11, []),
        ("metashape/road.xml", 78, []),
        ("opensfm", 3, []),
        ("realitycapture", 2, ["--size", "4000x3000"]),
        ("realitycapture/parking.csv", 706, ["--size", "4000x3000"]),
    ],
)
def test_a_sample_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], sample: str, cameras: int, options: list[str]
) -> None:
    source = SAMPLES / sample
    if not source.exists():
        pytest.skip(f"{source} is not there; HEADFIT_LAYOUTS may name the folder of the samples")
    began = time.process_time()
    code, _, _ = run(capsys, "import", source, "--out", tmp_path, *options)
    assert code == 0 and time.process_time() - began < 8  # 2 s where nothing else runs
    assert len(json.loads((tmp_path / "capture.json").read_text())["cameras"]) == cameras


def test_metashapes_sample_is_where_it_was_surveyed() -> None:
    """Its world is that of the reference coordinates in the same file, to a few centimetres."""
    from xml.etree import ElementTree

    from headfit.capture.layouts import read_layout
    from headfit.capture.layouts.options import ImportOptions

    file = SAMPLES / "metashape" / "road.xml"
    if not file.exists():
        pytest.skip(f"{file} is not there; HEADFIT_LAYOUTS may name the folder of the samples")
    _, content = read_layout("metashape", file, ImportOptions())
    surveyed = {}
    for camera in ElementTree.parse(file).iter("camera"):
        place = camera.find("reference")
        if place is not None and place.get("x"):
            surveyed[camera.get("label")] = [float(place.get(axis, "nan")) for axis in "xyz"]
    apart = [
        np.abs(-np.array(c["R"]).T @ c["t"] - surveyed[c["id"]]).max()
        for c in content["cameras"]
        if c["id"] in surveyed
    ]
    assert len(apart) == 78 and max(apart) < 0.2


def test_realitycaptures_list_and_its_xmp_files_agree() -> None:
    from headfit.capture.layouts import read_layout
    from headfit.capture.layouts.options import ImportOptions

    folder = SAMPLES / "realitycapture"
    if not folder.exists():
        pytest.skip(f"{folder} is not there; HEADFIT_LAYOUTS may name the folder of the samples")
    _, one = read_layout("realitycapture", folder, ImportOptions(size=(4000, 3000)))
    _, other = read_layout("realitycapture-csv", folder, ImportOptions(size=(4000, 3000)))
    by_name = {camera["id"]: camera for camera in other["cameras"]}
    for camera in one["cameras"]:
        np.testing.assert_allclose(camera["R"], by_name[camera["id"]]["R"], atol=1e-12)
        np.testing.assert_allclose(camera["t"], by_name[camera["id"]]["t"], atol=1e-9)
