import struct

import numpy as np
import pytest

from headfit.export import write_take


@pytest.fixture(scope="module")
def folder(take, tmp_path_factory):
    out = tmp_path_factory.mktemp("caches")
    write_take(take, out, ["pc2", "mdd"])
    return out


@pytest.mark.parametrize("mesh", [0, 1])
def test_pc2_has_header_and_every_frame(take, folder, mesh):
    sequence = take.meshes[mesh]
    data = (folder / f"{sequence.name}.pc2").read_bytes()
    assert struct.unpack("<12siiffi", data[:32]) == (b"POINTCACHE2\0", 1, sequence.vertex_count, 0.0, 1.0, 8)
    points = np.frombuffer(data[32:], "<f4").reshape(8, sequence.vertex_count, 3)
    for frame in (0, 7):
        np.testing.assert_allclose(points[frame], sequence.vertices_of(frame), atol=1e-6)


def test_mdd_has_big_endian_numbers_and_times_in_seconds(take, folder):
    count = take.meshes[0].vertex_count
    data = (folder / "head.mdd").read_bytes()
    assert struct.unpack(">ii", data[:8]) == (8, count)
    np.testing.assert_allclose(np.frombuffer(data[8:40], ">f4"), np.arange(8) / 12.5, rtol=1e-6)
    points = np.frombuffer(data[40:], ">f4").reshape(8, count, 3)
    np.testing.assert_allclose(points[7], take.meshes[0].vertices_of(7), atol=1e-6)
