"""Decoding time of large pictures: `python tests/benchmarks/bench_decode.py`.

JPEGs at each part of their size, and a long video's random access with the memory that it takes.
"""

from __future__ import annotations

import multiprocessing
import random
import resource
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from headfit.capture.decode import decode_image
from headfit.capture.video import Video
from tests.support.videos import number_in, numbered_picture, write_video

SIZES = {"2K": (2048, 1536), "4K": (3840, 2160)}
PICTURES = 120
REPEATS = 9


def photo(width: int, height: int) -> np.ndarray:
    """A picture with as much detail as a photograph: octaves of noise."""
    rng, total = np.random.default_rng(0), np.zeros((height, width, 3), np.float32)
    for octave in range(1, 9):
        coarse = rng.random((max(2, height >> octave), max(2, width >> octave), 3), dtype=np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 2 ** (octave / 2)
    return (255 * (total - total.min()) / np.ptp(total)).astype(np.uint8)


def milliseconds(data: bytes, reduction: int) -> float:
    """Median time of decoding."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        decode_image(data, "picture", reduction=reduction)
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


def main() -> None:
    cv2.setNumThreads(1)
    for name, (width, height) in SIZES.items():
        data = bytes(cv2.imencode(".jpg", photo(width, height), [cv2.IMWRITE_JPEG_QUALITY, 90])[1])
        times = "  ".join(f"1/{part}: {milliseconds(data, part):6.1f} ms" for part in (1, 2, 4, 8))
        print(f"{name} JPEG {width}x{height}, {len(data) / 1e6:.1f} MB   {times}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "v.mp4"
        # Apart from each other, so that the memory is that of reading.
        for step in (write_long_video, read_in_any_order):
            process = multiprocessing.get_context("spawn").Process(target=step, args=(path,))
            process.start()
            process.join()


def write_long_video(path: Path) -> None:
    options = {"preset": "ultrafast", "g": "30"}
    write_video(
        path, "libx264", PICTURES, options=options, picture=lambda number: numbered_picture(number, SIZES["4K"])
    )


def read_in_any_order(path: Path) -> None:
    video, order = Video(path), random.Random(0).sample(range(PICTURES), 20)
    assert number_in(video.frame(order[0])) == order[0]
    before, start = peak_memory(), time.perf_counter()
    assert [number_in(video.frame(index)) for index in order] == order
    took = (time.perf_counter() - start) / len(order)
    print(
        f"4K video of {PICTURES} pictures, a key every 30: {1000 * took:.0f} ms a picture in any order, "
        f"{peak_memory() - before:.0f} MiB more after the first one"
    )


def peak_memory() -> float:
    """MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
