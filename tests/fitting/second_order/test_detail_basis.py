"""The functions by which second-order steps see a frame's detail."""

import torch

from headfit.fitting.second_order.detail_basis import HALVINGS, DetailBasis, halves


def test_groups_hold_all_of_the_detail(true_module):
    geometry = true_module.model.geometry
    head, basis = geometry.head, DetailBasis.of(geometry)
    assert DetailBasis.of(geometry) is basis, "made once"
    functions = torch.zeros(head.vertex_count, 3 * len(basis.by_detail))
    for group in basis.groups:
        functions[group.vertices[:, None], group.columns] = group.values.repeat_interleave(3, dim=1)
    with torch.no_grad():
        each = 1e-3 * geometry.frame_detail(torch.eye(len(basis.by_detail))[..., None])[..., 0].T  # a millimetre
    torch.testing.assert_close(functions[:, ::3] @ basis.by_detail, head.subdivided(each.contiguous()))


def test_groups_know_all_that_moves_their_triangles(true_module):
    geometry = true_module.model.geometry
    basis, faces = DetailBasis.of(geometry), geometry.head.faces.long()
    assert len(basis.groups) == 2**HALVINGS
    number = basis.group_of_vertex[faces]
    for index, group in enumerate(basis.groups):
        corners = faces[(number == index).any(1)]
        assert torch.isin(corners, group.vertices).all()
    rigid = geometry.head.cage_rigid_part >= 0
    unmoved = geometry.head.subdivided(rigid.float()[:, None])[:, 0] == 1
    assert (basis.group_of_vertex[unmoved] == len(basis.groups)).all()


def test_halves_are_equal_and_compact():
    points = torch.tensor([[x, y, 0.0] for x in range(8) for y in range(2)])
    part = halves(points, 3)
    assert torch.bincount(part).tolist() == [2] * 8
    for number in range(8):
        assert (points[part == number].amax(0) - points[part == number].amin(0)).max() == 1
