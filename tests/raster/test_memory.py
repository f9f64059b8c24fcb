"""What importing the rasterizer changes for the process."""

import ctypes
import sys

import pytest
import torch

from headfit import raster


class MallocInfo(ctypes.Structure):
    """glibc's struct mallinfo2."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    )


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's malloc")
def test_large_tensors_are_not_mapped_one_by_one() -> None:
    """A block of its own mapping would go back to the system when it is freed."""
    assert raster.rasterize
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallinfo2"):
        pytest.skip("glibc before 2.33")
    libc.mallinfo2.restype = MallocInfo
    before = libc.mallinfo2().hblkhd
    image = torch.empty(2**26, dtype=torch.uint8)
    assert libc.mallinfo2().hblkhd - before < image.numel()
