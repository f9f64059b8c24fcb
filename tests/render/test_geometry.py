import torch

from headfit.render.geometry import vertex_normals


def test_vertex_normals_of_a_tetrahedron_point_outwards():
    v = torch.tensor([[[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    torch.testing.assert_close(vertex_normals(v, faces), v / 3**0.5)
    v.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: vertex_normals(x, faces), (v,))
