import torch

from headfit.render.geometry import VertexNormals


def test_vertex_normals_of_a_tetrahedron_point_outwards():
    v = torch.tensor([[[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]], dtype=torch.float64)
    faces = torch.tensor([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    normals = VertexNormals(faces, 4)
    torch.testing.assert_close(normals(v), v / 3**0.5)
    v.requires_grad_()
    assert torch.autograd.gradcheck(normals, (v,))
