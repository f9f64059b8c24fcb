import threading

import numpy as np
import pytest

from headfit.errors import HeadfitError
from headfit.view.frusta import quaternion, thumbnail
from headfit.view.page import Page, open_server, up_direction
from headfit.view.swapped_glb import SwappedGlb
from tests.support.made_run import CENTRES, looking_at_the_head

viser = pytest.importorskip("viser", reason="the page needs viser: pip install 'headfit[view]'")


@pytest.fixture
def server():
    server = open_server("127.0.0.1", 18080)
    yield server
    server.stop()


def test_a_taken_port_is_left_alone(server):
    other = open_server("127.0.0.1", server.get_port())
    assert other.get_port() != server.get_port()
    other.stop()


def test_an_address_of_another_machine_is_refused():
    with pytest.raises(HeadfitError, match=r"--host 203\.0\.113\.1"):
        open_server("203.0.113.1", 18080)


def test_without_viser_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "viser", None)
    with pytest.raises(HeadfitError, match=r"pip install 'headfit\[view\]'"):
        open_server("127.0.0.1", 18080)


class Counting(Page):
    """Draws nothing, and asks for itself once more while it draws for the second time."""

    def __init__(self, server):
        cameras = [looking_at_the_head(centre, str(index)) for index, centre in enumerate(CENTRES)]
        super().__init__(server, cameras, np.zeros(3), 0.75)
        self.done = []
        self.stop = threading.Event()

    def draw(self):
        self.done.append("draw")
        if len(self.done) == 3:
            self.want()

    def draw_at_rest(self):
        self.done.append("rest")
        if len(self.done) > 4:
            self.stop.set()
        self.want()


def test_what_takes_longer_waits_until_nothing_else_is_wanted(server):
    page = Counting(server)
    page.run(page.stop)
    assert page.done == ["draw", "rest", "draw", "draw", "rest"]


def test_the_page_looks_at_the_head_from_the_cameras(server):
    page = Counting(server)
    np.testing.assert_allclose(page.up, [0, 1, 0], atol=0.2)
    position = np.array(server.initial_camera.position)
    assert position[2] > 0.7 and np.linalg.norm(position) == pytest.approx(0.75)
    assert page.address == f"http://localhost:{server.get_port()}"


def test_a_file_is_shown_once_the_browser_has_read_it(server):
    node = SwappedGlb(server, "/head", b"one")

    def visible():
        return [bytes(n.glb_data) for n in node._nodes if n.visible]

    assert visible() == [b"one"]
    node.show(b"two")
    assert visible() == [b"one"]
    node.show(b"three")
    assert visible() == [b"two"]
    node.settle()
    assert visible() == [b"three"]
    node.visible = False
    assert visible() == []


def test_up_is_against_the_cameras_down():
    np.testing.assert_allclose(up_direction(np.array([[0, 0.1, -1], [0, -0.1, -1.0]])), [0, 0, 1])
    np.testing.assert_allclose(up_direction(np.array([[0, 1.0, 0], [0, -1, 0]])), [0, 1, 0])


@pytest.mark.parametrize(
    "q", [(1, 0, 0, 0), (0, 1, 0, 0), (0, 0, 0.6, 0.8), (0.5, -0.5, 0.5, 0.5), (0.1, 0.7, -0.7, 0.1)]
)
def test_a_quaternion_turns_like_its_matrix(q):
    w, x, y, z = np.array(q) / np.linalg.norm(q)
    matrix = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    found = quaternion(matrix)
    assert abs(found @ [w, x, y, z]) == pytest.approx(1.0)


def test_a_thumbnail_keeps_the_shape_and_is_never_larger():
    picture = np.zeros((100, 50, 3), np.uint8)
    assert thumbnail(picture, 20).shape == (20, 10, 3)
    assert thumbnail(picture, 200) is picture
