import torch

from headfit.render.torso import RINGS, Torso


def ring(y: float, n: int = 12, radius: float = 0.06) -> torch.Tensor:
    a = torch.arange(n) * (2 * torch.pi / n)
    return torch.stack([radius * a.cos(), torch.full((n,), y), radius * a.sin()], -1)


def test_the_collar_goes_out_and_down_whichever_way_the_loop_runs():
    head = torch.cat([ring(-0.1), ring(0.1)])[None]
    for loop in (torch.arange(12), torch.arange(12).flip(0)):
        torso = Torso(loop, vertex_count=24)
        rings = torso.vertices(head)[0].view(len(RINGS), 12, 3)
        assert rings[0, :, 1].min() > -0.1, "the first ring lies above the cut"
        assert rings[-1, :, 1].max() < -0.6, "the last one far below"
        torch.testing.assert_close(rings[1, :, [0, 2]].norm(dim=-1), torch.full((12,), 0.06 * RINGS[1][0]))


def test_collar_faces_use_only_collar_vertices_and_every_inner_edge_twice():
    torso = Torso(torch.arange(12), vertex_count=24)
    faces = torso.faces
    assert faces.min() == 24 and faces.max() == 24 + 12 * len(RINGS) - 1
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(1).values
    _, counts = edges.unique(dim=0, return_counts=True)
    assert set(counts.tolist()) == {1, 2} and (counts == 1).sum() == 2 * 12


def test_the_collar_carries_no_gradient():
    head = torch.cat([ring(-0.1), ring(0.1)])[None].requires_grad_()
    assert not Torso(torch.arange(12), 24).vertices(head).requires_grad
