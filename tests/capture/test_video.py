"""Every picture of a video is exactly the one that was asked for, in any order, whatever the codec stores."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from headfit.capture import DamagedFile, open_capture
from headfit.capture import storage as storage_module
from headfit.capture import video as video_module
from headfit.capture.video import Video
from tests.support.videos import number_in, numbered_picture, write_video

COUNT = 40
UNEVEN = [int(time) for time in np.cumsum(np.random.default_rng(0).integers(5, 200, COUNT))]
X264 = {"bf": "3", "g": "12", "b_strategy": "0"}

VIDEOS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "open groups with B-frames": (".mp4", "libx264", {"options": {**X264, "x264-params": "open-gop=1"}}),
    "variable rate with B-frames": (".mkv", "libx264", {"options": X264, "times": UNEVEN}),
    "variable rate from a late start": (".mov", "libx264", {"options": X264, "times": [7000 + t for t in UNEVEN]}),
    "one key frame": (".mp4", "libx264", {"options": {**X264, "g": "1000", "sc_threshold": "0"}}),
    "HEVC": (".mp4", "libx265", {"options": {"x265-params": "keyint=10:bframes=3:log-level=none"}}),
    "VP9": (".webm", "libvpx-vp9", {"options": {"g": "10"}}),
    "MPEG-4 in AVI": (".avi", "mpeg4", {"options": {"g": "10", "bf": "2"}}),
}


@pytest.mark.parametrize(("suffix", "codec", "settings"), VIDEOS.values(), ids=VIDEOS.keys())
def test_pictures_come_in_any_order(tmp_path: Path, suffix: str, codec: str, settings: dict[str, Any]) -> None:
    video = Video(write_video(tmp_path / f"v{suffix}", codec, COUNT, **settings))
    order = random.Random(1).sample(range(COUNT), COUNT)
    for index in [0, 1, 2, 5, *order, COUNT - 1, 0, *range(COUNT)]:
        assert number_in(video.frame(index)) == index


class Counted(Video):
    """A video that counts the pictures that it decodes."""

    decoded = 0

    def _shown_at(self, time: int) -> av.VideoFrame | None:
        frames = self._frames

        def counted() -> Any:
            for frame in frames:
                self.decoded += 1
                yield frame

        self._frames = counted()
        found = super()._shown_at(time)
        self._frames = frames
        return found


def test_a_seek_decodes_from_the_key_picture_before(tmp_path: Path) -> None:
    video = Counted(write_video(tmp_path / "v.mp4", "libx264", 120, options={**X264, "sc_threshold": "0"}))
    for index in (110, 50, 80):
        video.decoded = 0
        assert number_in(video.frame(index)) == index
        assert video.decoded <= 12
    video.decoded = 0
    for index in range(81, 90):
        assert number_in(video.frame(index)) == index
    assert video.decoded == 9


def test_pictures_without_time_stamps_are_counted(tmp_path: Path) -> None:
    video = Video(write_video(tmp_path / "v.h264", "libx264", COUNT, options=X264))
    assert [number_in(video.frame(index)) for index in (3, 4, 20, 7, 39)] == [3, 4, 20, 7, 39]
    with pytest.raises(DamagedFile, match="no picture 40"):
        video.frame(COUNT)


def test_a_truncated_video_serves_what_it_has(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.mkv", "libx264", COUNT, options=X264)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 4 // 5])
    video = Video(path)
    with pytest.raises(DamagedFile, match=r"v\.mkv: no picture 39 in the video: it is shorter, or damaged there"):
        video.frame(39)
    assert number_in(video.frame(5)) == 5
    path.write_bytes(b"nothing")
    with pytest.raises(DamagedFile, match=r"v\.mkv: the video cannot be opened"):
        Video(path)


def test_an_unknown_codec_is_named(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", "mpeg4", 2)
    path.write_bytes(path.read_bytes().replace(b"FMP4", b"ZZZZ"))
    with pytest.raises(DamagedFile, match=r"v\.avi: the video cannot be opened \(its codec is not known\)"):
        Video(path)


def test_few_videos_are_open_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "MAX_OPEN_VIDEOS", 2)
    paths = [tmp_path / f"{name}.mp4" for name in range(4)]
    for path in paths:
        write_video(path, "libx264", 5)
    storage, rng = storage_module.Storage(), random.Random(0)
    for _ in range(20):
        path, index = rng.choice(paths), rng.randrange(5)
        assert number_in(storage.video(path).frame(index)) == index
        assert sum(video._is_open for video in storage._videos.values()) <= 2
    assert len(storage._videos) == 4


def test_a_rotation_is_not_applied_but_known(point: Any, tmp_path: Path) -> None:
    def tall(number: int) -> np.ndarray:
        return numbered_picture(number, (24, 32))

    for rotation, turn in ((0, 0), (-90, 90), (90, 270), (180, 180)):
        write_video(tmp_path / "cam1.mp4", "libx264", 3, picture=tall, rotation=rotation)
        capture = point(images="../{camera}.mp4", frames=["0", "1", "2"])
        assert number_in(capture.image(1, 2)) == 2
        assert capture.stored_turn(1) == turn
        assert point({"rotate": 0}, images="../{camera}.mp4").stored_turn(1) is None


def test_numbers_of_frames_are_numbers_of_pictures(point: Any, tmp_path: Path) -> None:
    write_video(tmp_path / "cam0.mp4", "libx264", 40, picture=lambda number: numbered_picture(number, (24, 32)))
    capture = point(images="../{camera}.mp4", frames={"start": 3, "stop": 12, "step": 4, "width": 3})
    assert [number_in(capture.image(0, frame)) for frame in range(3)] == [3, 7, 11]
    capture = point(images={"path": "../{camera}.mp4", "offset": 2, "step": 3}, frames=["10", "12"])
    assert [number_in(capture.image(0, frame)) for frame in (0, 1)] == [32, 38]
    assert capture.image(1, 0) is None


def test_the_usual_video_counts_the_list_of_frames(write_capture: Callable[..., Path]) -> None:
    root = write_capture(yaws=(0.0,), frames=1, change=lambda content: content.update(frames=["000007", "000009"]))
    for image in (root / "images" / "cam0").iterdir():
        image.unlink()
    (root / "images" / "cam0").rmdir()
    (root / "videos").mkdir()
    video = root / "videos" / "cam0.mp4"
    write_video(video, "libx264", 10, picture=lambda number: numbered_picture(number, (24, 32)))
    capture = open_capture(root)
    assert [number_in(capture.image(0, frame)) for frame in (0, 1)] == [0, 1]  # type: ignore[arg-type]


#: Y, U, V of pure red (ITU-R BT.601 and BT.709, limited range).
RED = {"bt601": (81, 90, 240), "bt709": (63, 102, 240)}


@pytest.mark.parametrize(("matrix", "tag", "height"), [("bt601", None, 48), ("bt709", None, 720), ("bt709", 1, 48)])
def test_colors_are_decoded_as_the_video_says_or_its_size_suggests(
    tmp_path: Path, matrix: str, tag: int | None, height: int
) -> None:
    planes = [np.full((height if not i else height // 2, 64 >> bool(i)), RED[matrix][i], np.uint8) for i in range(3)]
    with av.open(str(tmp_path / "v.mp4"), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25, options={"qp": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, height, "yuv420p"
        frame = av.VideoFrame.from_ndarray(
            np.concatenate([plane.ravel() for plane in planes]).reshape(-1, 64), "yuv420p"
        )
        if tag is not None:
            stream.codec_context.colorspace = frame.colorspace = tag
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    np.testing.assert_allclose(Video(tmp_path / "v.mp4").frame(0)[height // 2, 32], [255, 0, 0], atol=3)


def test_a_video_that_claims_too_many_pixels_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "v.mp4", "mpeg4", 1)
    monkeypatch.setattr(video_module, "MAX_PIXELS", 64 * 48 - 1)
    with pytest.raises(DamagedFile, match="claims 64x48 pixels"):
        Video(path)
