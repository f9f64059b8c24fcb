"""Contact: how deep the inner parts of a head are in each other, and the prior that drives them apart."""

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from headfit.assets import asset_path
from headfit.fitting.config import FitConfig, Stage
from headfit.fitting.contact import TOLERANCE, MouthContact
from headfit.fitting.groups import parameter_groups
from headfit.fitting.optimizer import FitAdam
from headfit.fitting.parameters import TRANSLATION_UNIT, FitParameters
from headfit.fitting.settings import load_config
from headfit.fitting.terms.contact import contact_loss
from headfit.head import HeadModel, load
from headfit.render.geometry import VertexNormals

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def head() -> HeadModel:
    return load("default")


@pytest.fixture(scope="module")
def normals_of(head: HeadModel) -> VertexNormals:
    return VertexNormals(head.faces, head.vertex_count)


@pytest.fixture(scope="module")
def contact(head: HeadModel, normals_of: VertexNormals) -> MouthContact:
    return MouthContact(head, normals_of)


def with_part_moved(head: HeadModel, part: str, by: tuple[float, float, float]) -> Tensor:
    vertices = head.rest()[None].clone()
    vertices[:, head.vertices_of(part)] += torch.tensor(by)
    return vertices


def test_nothing_touches_in_the_mean_head(head, normals_of, contact):
    vertices = head.rest()[None]
    assert contact.count == 7
    assert contact(vertices, normals_of(vertices)).max() == 0


@pytest.mark.parametrize(
    "part, by",
    [
        ("lower_teeth", (0.0, 0.004, 0.0)),  # into the upper teeth
        ("upper_teeth", (0.0, 0.0, 0.006)),  # into the lip
        ("tongue", (0.0, 0.006, 0.0)),  # into the palate
        ("tongue", (0.0, 0.0, 0.012)),  # into the teeth
    ],
)
def test_a_part_that_is_moved_into_another_is_driven_back(head, normals_of, contact, part, by):
    vertices = with_part_moved(head, part, by).requires_grad_()
    depth = contact(vertices, normals_of(vertices))
    assert 5e-4 < depth.max() <= torch.tensor(by).norm() + 1e-3
    depth.square().sum().backward()
    pull = -vertices.grad[0, head.vertices_of(part)].sum(0)
    assert pull @ torch.tensor(by) < 0


def test_the_depth_is_the_distance_to_the_tangent_plane(head, normals_of, contact):
    """A single vertex of the tongue is put below the surface of the palate."""
    vertices = head.rest()[None].clone()
    points, surface = list(contact._indices())[1]
    target = surface[len(surface) // 2]
    normals = normals_of(vertices)
    point = points[(normals[0, points] @ normals[0, target]).argmin()]
    vertices[0, point] = vertices[0, target] - 0.001 * normals[0, target]
    depth = contact(vertices, normals)[0]
    deepest = depth.max()
    torch.testing.assert_close(deepest, torch.tensor(0.001 - TOLERANCE), atol=1e-6, rtol=0)


def test_the_gradient_agrees_with_finite_differences(head, normals_of, contact):
    vertices = with_part_moved(head, "lower_teeth", (0.0, 0.004, 0.0)).double().requires_grad_()
    normals = normals_of(vertices.detach().float()).double()
    torch.manual_seed(0)
    direction = torch.zeros_like(vertices)
    moved = head.vertices_of("lower_teeth", "upper_teeth")
    direction[:, moved] = torch.randn(1, len(moved), 3, dtype=torch.float64)
    (grad,) = torch.autograd.grad(contact(vertices, normals).square().sum(), vertices)
    step = 1e-7
    with torch.no_grad():
        ends = [contact(vertices + s * step * direction, normals).square().sum() for s in (1, -1)]
    torch.testing.assert_close((grad * direction).sum(), (ends[0] - ends[1]) / (2 * step), rtol=1e-3, atol=0)


def test_the_term_is_a_sum_of_squared_millimetres_per_view(head, normals_of, contact):
    vertices = torch.cat([head.rest()[None], with_part_moved(head, "lower_teeth", (0.0, 0.004, 0.0))])
    normals = normals_of(vertices)
    views = SimpleNamespace(v_frames=vertices, frame_normals=normals, frame_of_view=torch.tensor([0, 1, 1]))
    per_frame = (contact(vertices, normals) * 1e3).square().sum(1)
    assert per_frame[0] == 0 and per_frame[1] > 1
    model = SimpleNamespace(contact=contact, masks_show_lips=True)
    loss = contact_loss(views, model, Stage())
    torch.testing.assert_close(loss, per_frame[1] * 2 / 3)


class Unknowns(nn.Module):
    """The geometry of one frame of a person whose teeth are 4 mm in the lips."""

    def __init__(self, head: HeadModel, contact: MouthContact, masks_show_lips: bool) -> None:
        super().__init__()
        self.contact = contact
        self.masks_show_lips = masks_show_lips
        self.geometry = FitParameters(head, 1, FitConfig().offset_smoothness)
        for jaw in ("upper", "lower"):
            part = head.rigid_part_names.index(f"{jaw}_teeth")
            self.geometry.placement_scaled.data[part, 2] = 0.004 / TRANSLATION_UNIT

    def loss(self, normals_of: VertexNormals) -> Tensor:
        frames = torch.zeros(1, dtype=torch.long)
        vertices, offsets = self.geometry(frames)
        normals = normals_of(vertices.detach())
        views = SimpleNamespace(
            frames=frames, v_frames=vertices, offsets=offsets, frame_normals=normals, frame_of_view=frames
        )
        return contact_loss(views, self, Stage())


def test_where_masks_do_not_show_the_lips_contact_alone_comes_to_rest(head, normals_of, contact):
    """With Adam and the learning rates of the stage that has contact first."""
    rates = load_config(asset_path("configs/fit.yaml")).stages["refine"].rates
    model = Unknowns(head, contact, masks_show_lips=False)
    groups = [group for group in parameter_groups(model) if group["params"]]
    optimizer = FitAdam([{**group, "lr": rates[group["name"]]} for group in groups])
    lips = head.vertices_of("upper_lip", "lower_lip")
    start = model.geometry.rest()[lips]
    losses = []
    for _ in range(100):
        loss = model.loss(normals_of)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.geometry.clamp()
    assert losses[0] > 20 and max(losses) == losses[0] and losses[-1] < 0.1
    assert (model.geometry.rest()[lips] - start).norm(dim=1).max() < 0.002


@pytest.mark.parametrize("shown", [True, False])
def test_free_offsets_give_way_where_masks_show_the_lips_alone(head, normals_of, contact, shown):
    model = Unknowns(head, contact, shown)
    model.loss(normals_of).backward()
    pulls = {name: p.grad is not None and bool(p.grad.any()) for name, p in model.geometry.named_parameters()}
    assert pulls["placement_scaled"] and pulls["identity"] and pulls["joints_scaled"]
    assert pulls["offset_field"] == pulls["fine_offset_field"] == shown
