"""The networks of MediaPipe 0.10.14 (Apache-2.0), taken from its wheel as data: no code of the package is installed.

Later wheels contain no networks. `face_landmark_with_attention.tflite` needs operators of MediaPipe's own runtime and
is not used.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import BadZipFile, ZipFile

from headfit.errors import HeadfitError
from headfit.files import failures_named, make_folder

REQUIREMENT = "mediapipe==0.10.14"
#: The data is the same in the wheels of all platforms and Python versions; this one is always fetched.
WHEEL_TAGS = ("--only-binary=:all:", "--python-version=3.11", "--platform=manylinux2014_x86_64")
NETWORKS = {
    "face_detection_short_range": "face_detection",
    "face_detection_full_range_sparse": "face_detection",
    "face_landmark": "face_landmark",
    "iris_landmark": "iris_landmark",
    "selfie_segmentation": "selfie_segmentation",
}


def network_files(wheel: Path | None = None, cache: Path | None = None) -> dict[str, Path]:
    """The `.tflite` file of each of `NETWORKS`, by name. They are kept in a cache: the wheel is fetched once.

    Args:
        wheel: the wheel, if it was downloaded already; None: pip downloads it when the cache is empty.
        cache: the folder that keeps them; None: `headfit/mediapipe-0.10.14` in the user's cache folder.

    Raises:
        HeadfitError: the wheel cannot be downloaded, or holds no networks.
    """
    cache = cache or _user_cache() / "headfit" / REQUIREMENT.replace("==", "-")
    files = {name: cache / f"{name}.tflite" for name in NETWORKS}
    if all(path.is_file() for path in files.values()):
        return files
    make_folder(cache)
    with TemporaryDirectory() as scratch:
        _extract(wheel or _download(Path(scratch)), files)
    return files


def _extract(wheel: Path, files: dict[str, Path]) -> None:
    try:
        with failures_named(wheel), ZipFile(wheel) as archive:
            for name, folder in NETWORKS.items():
                content = archive.read(f"mediapipe/modules/{folder}/{name}.tflite")
                with failures_named(files[name]):
                    fresh = files[name].with_suffix(".writing")
                    fresh.write_bytes(content)
                    fresh.replace(files[name])
    except (BadZipFile, KeyError) as error:
        raise HeadfitError(f"{wheel}: not a wheel of {REQUIREMENT} ({error}); {_how_to_fetch()}") from error


def _download(into: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", *WHEEL_TAGS, REQUIREMENT, "-d"]
    if subprocess.run([*command, str(into)], check=False).returncode:
        raise HeadfitError(f"pip could not download {REQUIREMENT} (its messages are above); {_how_to_fetch()}")
    return next(into.glob("*.whl"))


def _how_to_fetch() -> str:
    return f"fetch it by: pip download --no-deps {' '.join(WHEEL_TAGS)} {REQUIREMENT}, and name the file by --wheel"


def _user_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
