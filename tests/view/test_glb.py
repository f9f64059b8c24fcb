import io
import json
import struct

import cv2
import numpy as np
import trimesh

from headfit.view.glb import ColouredSurface, glb, jpeg

POSITIONS = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3]], np.float32)
COLOURS = np.array([[0.1, 0.2, 0.3], [4, 4, 4], [0, 0, 0], [1, 1, 1]], np.float32)
FACES = np.array([[0, 1, 2], [0, 2, 3]])
UVS = np.array([[0, 0], [1, 0], [0, 1], [1, 0.75]], np.float32)


def document(data: bytes) -> dict:
    (length,) = struct.unpack_from("<I", data, 12)
    return json.loads(data[20 : 20 + length])


def test_trimesh_reads_what_was_given() -> None:
    texture = jpeg(np.full((8, 8, 3), [200, 40, 40], np.uint8))
    data = glb([ColouredSurface(POSITIONS, COLOURS, FACES, UVS, texture)])
    (mesh,) = trimesh.load(io.BytesIO(data), file_type="glb", process=False).geometry.values()
    np.testing.assert_array_equal(mesh.vertices, POSITIONS)
    np.testing.assert_array_equal(mesh.faces, FACES)
    np.testing.assert_allclose(mesh.visual.uv, UVS, atol=1e-6)
    assert mesh.visual.material.baseColorTexture.size == (8, 8)


def test_colours_are_unlit_and_may_be_brighter_than_one() -> None:
    data = glb([ColouredSurface(POSITIONS, COLOURS, FACES)])
    content = document(data)
    assert content["materials"][0]["extensions"] == {"KHR_materials_unlit": {}}
    accessor = content["accessors"][content["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]]
    view = content["bufferViews"][accessor["bufferView"]]
    start = len(data) - content["buffers"][0]["byteLength"] + view["byteOffset"]
    np.testing.assert_array_equal(np.frombuffer(data, "<f4", 12, start).reshape(4, 3), COLOURS)


def test_the_header_says_the_length_and_chunks_are_aligned() -> None:
    data = glb([ColouredSurface(POSITIONS, COLOURS, FACES, UVS, b"12345"), ColouredSurface(POSITIONS, COLOURS, FACES)])
    magic, version, length, chunk = struct.unpack_from("<4sIII", data)
    assert (magic, version, length) == (b"glTF", 2, len(data)) and chunk % 4 == 0
    assert all(view["byteOffset"] % 4 == 0 for view in document(data)["bufferViews"])


def test_what_has_no_faces_is_left_out() -> None:
    nothing = ColouredSurface(POSITIONS, COLOURS, FACES[:0])
    assert len(document(glb([nothing, ColouredSurface(POSITIONS, COLOURS, FACES)]))["meshes"][0]["primitives"]) == 1
    assert "meshes" not in document(glb([nothing]))


def test_a_picture_keeps_its_colours() -> None:
    picture = np.full((16, 16, 3), [220, 60, 20], np.uint8)
    back = cv2.imdecode(np.frombuffer(jpeg(picture), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_allclose(back, picture, atol=4)
