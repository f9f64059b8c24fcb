import base64
import re
from contextlib import nullcontext
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from headfit.view import played, tone
from headfit.view.frusta import quaternion
from headfit.view.glb import ColouredSurface, jpeg
from headfit.view.painter import HEADROOM, MODES, HeadPainter, _stored
from headfit.view.serve import open_page
from tests.support.made_run import looking_at_the_head

GREY, RED = (0.3, 0.5, 0.6), (0.7, 0.3, 0.3)
FRONT, ASIDE = (0.0, 0.0, 0.8), (0.6, 0.1, 0.5)


def view_from(centre, size=(90, 120), fov=0.5):
    """The camera of a browser's window, width x height pixels, as viser states it; it looks at the origin."""
    width, height = size
    wxyz = quaternion(looking_at_the_head(centre, "window").R.T)
    return SimpleNamespace(wxyz=wxyz, position=np.array(centre), fov=fov, image_width=width, image_height=height)


def square(z, colour, half=0.1, **texture):
    """A square of this half side around the origin, at the height z, seen by `FRONT`; metres."""
    x, y = np.array([-1, 1, 1, -1]) * half, np.array([-1, -1, 1, 1]) * half
    positions = np.stack([x, y, np.full(4, z)], axis=1).astype(np.float32)
    linear = np.tile(np.array(colour, np.float32), (4, 1))
    return ColouredSurface(positions, linear, np.array([[0, 1, 2], [0, 2, 3]]), **texture)


def display(colour):
    return tone.to_renderer(np.array(colour, np.float32))


def in_front(*surfaces):
    return played.drawn(surfaces, played.window_camera(view_from(FRONT)))


def drawn_on(picture):
    """The pixels `[H,W]` of a picture that show a surface."""
    return (picture != played.BACKGROUND).any(axis=-1)


def test_a_window_shows_its_field_of_view():
    view = view_from(ASIDE)
    camera = played.window_camera(view)
    np.testing.assert_allclose(camera.centre, ASIDE, atol=1e-12)
    np.testing.assert_allclose(camera.project(np.zeros(3)), [45, 60], atol=1e-9)
    top = camera.centre + camera.R[2] - np.tan(view.fov / 2) * camera.R[1]
    np.testing.assert_allclose(camera.project(top), [45, 0], atol=1e-9)
    right = camera.centre + camera.R[2] + np.tan(view.fov / 2) * 90 / 120 * camera.R[0]
    np.testing.assert_allclose(camera.project(right), [90, 60], atol=1e-9)


def test_a_large_window_gets_a_smaller_picture_of_the_same_view():
    small, large = (played.window_camera(view_from(ASIDE, size)) for size in ((480, 640), (960, 1280)))
    assert large.size == (480, 640)
    np.testing.assert_allclose(large.K, small.K)


def test_a_surface_is_drawn_where_it_is_in_its_colour():
    picture = in_front(square(0.2, display(GREY)))
    reach = 0.1 / 0.6 * 60 / np.tan(0.25)
    rows, columns = (np.abs(np.arange(n) + 0.5 - n / 2) < reach for n in (120, 90))
    inside = rows[:, None] & columns
    assert 0.4 < inside.mean() < 0.7
    np.testing.assert_allclose(picture[inside], np.tile(np.array(GREY) * 255, (inside.sum(), 1)), atol=1)
    assert (picture[~inside] == played.BACKGROUND).all()


def test_the_nearer_surface_hides_the_other():
    surfaces = square(0.0, display(GREY)), square(0.2, display(RED), half=0.02)
    for order in (surfaces, surfaces[::-1]):
        picture = in_front(*order)
        np.testing.assert_allclose(picture[60, 45], np.array(RED) * 255, atol=1)
        np.testing.assert_allclose(picture[60, 35], np.array(GREY) * 255, atol=1)


def test_a_texture_is_shown_as_it_is_and_the_right_way_up():
    texture = np.zeros((64, 32, 3), np.uint8)
    texture[:32, :16], texture[:32, 16:], texture[32:] = (200, 120, 90), (60, 90, 160), (120, 120, 120)
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    stored = square(0.0, [HEADROOM] * 3, uvs=uvs, texture=_stored(texture))
    plain = square(0.0, display(RED), half=0.01)
    picture = in_front(stored, plain).astype(int)
    middle_of = {(40, 30): texture[0, 0], (40, 60): texture[0, -1], (80, 45): texture[-1, 0]}
    for (row, column), colour in middle_of.items():
        np.testing.assert_allclose(picture[row, column], colour, atol=4)


def test_a_fine_texture_far_away_is_its_mean():
    """Every other column of texels is white: bilinear sampling would show stripes."""
    texture = np.zeros((256, 256, 3), np.uint8)
    texture[:, 1::2] = 255
    uvs = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    picture = in_front(square(0.0, [1.0] * 3, uvs=uvs, texture=jpeg(texture, 100)))
    inside = picture[35:85, 25:65].astype(float)
    mean = tone.shown(np.full((1, 3), 0.5, np.float32))[0] * 255
    assert inside.std() < 8 and np.abs(inside.mean(axis=(0, 1)) - mean).max() < 6


@pytest.fixture(scope="module")
def painter(shared_model):
    return HeadPainter(shared_model)


@pytest.fixture(scope="module")
def outline(painter):
    """The second frame's silhouette `[H,W]`, every triangle filled by OpenCV, with the pixels it touches."""
    camera = played.window_camera(view_from(FRONT))
    corners = camera.project(painter.pose(1).vertices.astype(float))[painter.head_faces]
    filled = np.zeros((camera.height, camera.width), np.uint8)
    for triangle in np.round((corners - 0.5) * 256).astype(np.int32):
        cv2.fillConvexPoly(filled, triangle, 1, shift=8)
    return filled > 0


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_draws_the_head(painter, outline, mode):
    picture = played.drawn(painter.paint(painter.pose(1), mode), played.window_camera(view_from(FRONT)))
    is_head = drawn_on(picture)
    assert outline.mean() > 0.2 and (is_head != outline).mean() < 0.03
    if mode == "texture":  # grey in the neutral light of a new model
        np.testing.assert_allclose(picture[is_head], 127.5, atol=1.5)
    else:
        assert picture[is_head].std() > 5


def test_hidden_groups_are_not_drawn(painter):
    camera = played.window_camera(view_from(FRONT))
    posed = painter.pose(0)
    everything = frozenset(painter.groups)
    assert not drawn_on(played.drawn(painter.paint(posed, "plain", everything), camera)).any()
    eyes = drawn_on(played.drawn(painter.paint(posed, "plain", everything - {"eyes"}), camera))
    assert 0.002 < eyes.mean() < 0.1


class Client:
    """What the page sends to a browser that looks from a place."""

    def __init__(self, centre=FRONT):
        self.camera = view_from(centre)
        self.camera.on_update = lambda moved: setattr(self, "moved", moved)
        self.gui = self
        self.sent = []

    def add_panel(self):
        return SimpleNamespace(float=lambda x, y: None, add_tab=lambda label: nullcontext())

    def add_html(self, content):
        return Sheet(self.sent)

    @property
    def is_cleared(self):
        """Whether the style sheet that was sent last shows nothing."""
        return "background: none" in self.sent[-1]

    @property
    def shown(self):
        """What a canvas of the window's size shows `[H,W,3]` by the last style sheet."""
        pattern = r'url\("data:image/jpeg;base64,(.*)"\) (\S+)% (\S+)% / (\S+)% (\S+)% no-repeat'
        data, *place = re.search(pattern, self.sent[-1]).groups()
        picture = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
        canvas = np.full((self.camera.image_height, self.camera.image_width, 3), played.BACKGROUND, np.uint8)
        shares, size = np.array(place, float).reshape(2, 2) / 100, np.array(canvas.shape[1::-1])
        width, height = np.round(shares[1] * size).astype(int)
        assert picture.shape == (height, width, 3)
        left, top = np.round(shares[0] * (size - [width, height])).astype(int)
        canvas[top : top + height, left : left + width] = picture
        return canvas


class Sheet:
    """A control with HTML; keeps what it has been."""

    def __init__(self, contents):
        vars(self)["contents"] = contents

    def __setattr__(self, name, value):
        assert name == "content"
        self.contents.append(value)


@pytest.fixture
def browsers():
    """Two of them that look from different places, and the head that is played in them."""
    clients = {1: Client(FRONT), 2: Client(ASIDE)}
    return clients, played.PlayedHead(SimpleNamespace(get_clients=lambda: dict(clients)))


def test_every_browser_gets_the_picture_of_its_own_view(browsers):
    clients, head = browsers
    surfaces = [square(0.0, display(GREY), half=0.05), square(0.1, display(RED), half=0.02)]
    head.show(surfaces)
    for client in clients.values():
        picture = played.drawn(surfaces, played.window_camera(client.camera))
        assert len(client.sent) == 1 and 0.02 < drawn_on(picture).mean() < 0.3
        assert (
            np.abs(client.shown.astype(int) - picture).mean() < 0.8
        )  # that of JPEG; one pixel aside it is 0.95 or more
    assert (clients[1].shown != clients[2].shown).any()


@pytest.mark.parametrize("move", [(0, 0), (0.17, 0), (0, -0.2), (1, 1)])
def test_only_the_part_with_the_surfaces_is_drawn(move):
    surface = square(0.0, display(GREY), half=0.05)
    surface.positions[:, :2] += np.float32(move)
    camera = played.window_camera(view_from(FRONT))
    whole, part = played.drawn([surface], camera), played.part_with([surface], camera)
    assert part.width * part.height < 0.15 * camera.width * camera.height
    np.testing.assert_allclose(played.drawn([surface], camera.framed(part)), whole[part.window], atol=1)
    whole[part.window] = played.BACKGROUND
    assert not drawn_on(whole).any()


def test_what_reaches_behind_the_camera_may_be_anywhere():
    camera = played.window_camera(view_from(FRONT))
    part = played.part_with([square(0.0, display(GREY)), square(0.9, display(GREY), half=0.01)], camera)
    assert (part.x, part.y, part.width, part.height) == (0, 0, *camera.size)


def test_pictures_are_taken_away_from_those_who_have_one(browsers):
    clients, head = browsers
    head.show([square(0.0, display(GREY))])
    clients[3] = Client()
    del clients[2]
    head.remove()
    assert clients[1].is_cleared and not clients[3].sent
    head.remove()
    assert len(clients[1].sent) == 2


def test_a_picture_that_is_left_goes_when_the_camera_moves(browsers):
    clients, head = browsers
    for _ in range(2):
        sent = len(clients[1].sent)
        head.show([square(0.0, display(GREY))])
        clients[1].moved(clients[1].camera)
        assert len(clients[1].sent) == sent + 1 and not clients[1].is_cleared
        head.leave()
        clients[1].moved(clients[1].camera)
        assert clients[1].is_cleared


@pytest.fixture
def page(run_folder, monkeypatch):
    """The page of a run that is played, and the browser that looks at it."""
    pytest.importorskip("viser", reason="the page needs viser: pip install 'headfit[view]'")
    page, client = open_page(run_folder, None, "127.0.0.1", 18095), Client()
    monkeypatch.setattr(page.server, "get_clients", lambda: {1: client})
    page._timeline._toggled(SimpleNamespace(client=None))
    page.draw()
    assert len(client.sent) == 1 and not client.is_cleared
    assert meshes(page) == []
    yield page, client
    page.server.stop()


def meshes(page):
    return [node.glb_data for node in page._head._nodes if node.visible]


def test_the_mesh_of_the_frame_is_back_before_the_picture_goes(page):
    page, client = page
    page._timeline._toggled(SimpleNamespace(client=None))
    page._timeline._slider.value = 1
    page.draw()
    (mesh,) = meshes(page)
    assert page._run.painter.pose(1).vertices[page._run.painter.head.source].tobytes() in mesh
    assert len(client.sent) == 1
    page.draw()
    assert client.is_cleared and len(meshes(page)) == 1


def test_what_only_the_browser_draws_is_no_picture(page):
    page, client = page
    page._wireframe.value = True
    page.draw()
    page.draw()
    assert client.is_cleared and len(meshes(page)) == 1
    page._wireframe.value = False
    page.draw()
    assert not client.is_cleared and meshes(page) == []
    page._through._camera.value = page._run.cameras[1].id
    page.draw()
    assert client.is_cleared and meshes(page) == []
    page._timeline._toggled(SimpleNamespace(client=None))
    page._through._camera.value = "(nowhere)"
    page.draw()
    assert len(meshes(page)) == 1
    page._through._camera.value = page._run.cameras[1].id
    page.draw()
    assert meshes(page) == []


def test_the_vertex_that_is_followed_is_marked_in_the_picture(page):
    page, client = page
    client.camera = view_from(FRONT, size=(360, 480))
    page.draw()
    assert redness(client.shown).max() < 10  # a new model is grey
    page._track._vertex = int(page._run.painter.pose(0).vertices[:, 2].argmax())
    page.draw()
    vertex = page._run.painter.pose(page._timeline.frame).vertices[page._track._vertex]
    x, y = played.window_camera(client.camera).project(vertex.astype(float)).astype(int)
    marked = np.argwhere(redness(client.shown) > 30)
    assert len(marked) and np.abs(marked - [y, x]).max() < 4
    assert "/track/vertex" not in page.server.scene._handle_from_node_name
    page._timeline._toggled(SimpleNamespace(client=None))
    page.draw()
    assert "/track/vertex" in page.server.scene._handle_from_node_name


def redness(picture):
    return picture[..., 0].astype(int) - picture[..., 1]


def test_torch_has_its_threads_back_after_a_frame(monkeypatch):
    threads = []
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    with pytest.raises(ValueError), played.one_thread():
        assert threads == [1]
        raise ValueError
    assert threads == [1, 7]
