"""The rasterizer in plain torch and Python: the readable specification, and the reference of the tests. Slow.

Same functions and conventions as `headfit.raster.api`, without its checks. `csrc/core` derives the formulas; the edge
gradient is in `reference_edges`.
"""

import torch
from torch import Tensor

from headfit.raster._C import NEAR
from headfit.raster.lighting import sh_basis, shading


def rasterize(v_pix: Tensor, faces: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    centres = _centres(size, v_pix.dtype)
    with torch.no_grad():
        index_img = torch.stack([_visible(v, faces, centres) for v in v_pix])
    on_face = index_img >= 0
    corners = torch.stack([v[faces.long()[i.clamp(min=0)]] for v, i in zip(v_pix, index_img, strict=True)])
    # Background pixels use an arbitrary valid triangle, so that no NaN enters the gradient.
    valid = torch.tensor([[0.0, 0, 1], [1, 0, 1], [0, 1, 1]], dtype=v_pix.dtype)
    E = edge_functions(torch.where(on_face[..., None, None], corners, valid), centres)
    z = torch.where(on_face[..., None], corners[..., 2], torch.ones(()).to(v_pix))
    S = (E / z).sum(-1)
    bary = torch.where(on_face[..., None], E / z / S[..., None], 0.0)
    depth = torch.where(on_face, E.sum(-1) / S, 0.0)
    return index_img, bary, depth


def class_images(classes: int, class_of_face: Tensor, index_img: Tensor, shown_as: Tensor | None = None) -> Tensor:
    """The one-hot images `[B,H,W,C]` float64 that `label_loss` compares with masks; where there is no class, all 0."""
    of_face = torch.where((class_of_face >= 0) & (class_of_face < classes), class_of_face, classes).long()
    seen = torch.cat([of_face, of_face.new_zeros(1)])[index_img.long()]  # index -1 picks the last entry: background
    if shown_as is not None:
        known = shown_as.where((shown_as >= 0) & (shown_as < classes), classes)
        table = torch.nn.functional.pad(known.long(), (0, 1), value=classes)
        seen = torch.stack([shown[labels] for shown, labels in zip(table, seen, strict=True)])
    return torch.nn.functional.one_hot(seen, classes + 1)[..., :classes].double()


def _centres(size: tuple[int, int], dtype: torch.dtype) -> Tensor:
    y, x = torch.meshgrid(*(torch.arange(n, dtype=dtype) + 0.5 for n in size), indexing="ij")
    return torch.stack([x, y], -1)


def edge_functions(corners: Tensor, q: Tensor) -> Tensor:
    """cross(p_i - q, p_j - q) `[...,3]` for the edge opposite each corner; corners `[...,3,3]`, q `[...,2]`."""
    r = corners[..., :2] - q[..., None, :]
    i, j = r.roll(-1, -2), r.roll(-2, -2)
    return i[..., 0] * j[..., 1] - i[..., 1] * j[..., 0]


def _visible(v: Tensor, faces: Tensor, centres: Tensor) -> Tensor:
    """The visible faces `[H,W]` of one image, -1 for background."""
    index = torch.full(centres.shape[:-1], -1, dtype=torch.int32)
    nearest = torch.full(centres.shape[:-1], torch.inf, dtype=v.dtype)
    for number, face in enumerate(faces.long()):
        p = v[face]
        if not p.isfinite().all() or (p[:, 2] == 0).any():
            continue
        area = edge_functions(p, p[0, :2])[0]
        if area == 0:
            continue
        covered = torch.ones_like(nearest, dtype=torch.bool)
        E = []
        for k in range(3):
            i, j = (k + 1) % 3, (k + 2) % 3
            # One formula per undirected edge, so that two faces that share it differ in nothing but the sign.
            sign = 1.0 if face[i] < face[j] else -1.0
            low, high = (p[i], p[j]) if face[i] < face[j] else (p[j], p[i])
            inside = sign * torch.sign(area) * torch.sign(p[k, 2])
            a, b = inside * (low[1] - high[1]), inside * (high[0] - low[0])
            t = a * (centres[..., 0] - low[0]) + b * (centres[..., 1] - low[1])
            top_left = bool(a > 0 or (a == 0 and b > 0))
            covered &= (t >= 0) if top_left else (t > 0)
            E.append(t * torch.sign(p[k, 2]))
        depth = sum(E) / sum(e / z for e, z in zip(E, p[:, 2], strict=True))
        wins = covered & (depth > NEAR) & (depth < nearest)
        nearest = torch.where(wins, depth, nearest)
        index[wins] = number
    return index


def interpolate(
    attributes: Tensor, faces: Tensor, index_img: Tensor, bary: Tensor, background: Tensor | None = None
) -> Tensor:
    attributes = attributes.expand(len(index_img), *attributes.shape[-2:])
    corner_ids = faces.long()[index_img.clamp(min=0)]
    corners = torch.stack([a[ids] for a, ids in zip(attributes, corner_ids, strict=True)])
    behind = bary.new_zeros(()) if background is None else background
    return torch.where((index_img >= 0)[..., None], (bary[..., None] * corners).sum(-2), behind)


def shade_pixels(
    albedo: Tensor, surface: Tensor, light: Tensor, gain: Tensor, index_img: Tensor, still: Tensor | None = None
) -> Tensor:
    """See `headfit.raster.lighting`."""
    if still is not None:
        surface = torch.where(still[..., None], surface.detach(), surface)
    normal = torch.nn.functional.normalize(surface[..., :3], dim=-1, eps=1e-12)
    lit = shading(normal.flatten(1, 2), light).view_as(albedo)
    colours = (albedo * lit + surface[..., 3:]) * gain[:, None, None]
    return torch.where((index_img >= 0)[..., None], colours, 0.0)


def mirrored_gloss(vertices: Tensor, normals: Tensor, centres: Tensor, forms: Tensor, kind: Tensor) -> Tensor:
    """See `headfit.raster.gloss`."""
    ray = vertices - centres[:, None]
    mirrored = ray - 2 * (ray * normals).sum(-1, keepdim=True) * normals
    basis = sh_basis(mirrored / torch.linalg.vector_norm(ray, dim=-1, keepdim=True).clamp_min(1e-9))
    form = torch.cat([forms, torch.zeros_like(forms[:1])])[kind.long()]  # the last one for -1
    return torch.einsum("bvi,vij,bvj->bv", basis, form, basis)


def sample_texture(
    texture: Tensor, uv_img: Tensor, index_img: Tensor, mips: int, group: Tensor | None = None
) -> Tensor:
    """The colours `[B,H,W,C]` of a texture `[Ht,Wt,C]`; see `headfit.raster.texture`."""
    levels = [texture.movedim(-1, 0)[None]]
    for _ in range(mips - 1):
        levels.append(torch.nn.functional.avg_pool2d(levels[-1], 2))
    grid = torch.stack([2 * uv_img[..., 0] - 1, 1 - 2 * uv_img[..., 1]], -1)
    samples = torch.stack([_bilinear(level, grid) for level in levels])
    level = mip_level(texture.shape[:2], uv_img.detach(), index_img, mips, group)
    weight = (1 - (level - torch.arange(mips).to(level)[:, None, None, None]).abs()).clamp(min=0)
    return torch.where((index_img >= 0)[..., None], (weight[..., None] * samples).sum(0), 0.0)


def _bilinear(level: Tensor, grid: Tensor) -> Tensor:
    level = level.expand(len(grid), -1, -1, -1)
    image = torch.nn.functional.grid_sample(level, grid, padding_mode="border", align_corners=False)
    return image.movedim(1, -1)


def mip_level(
    size: tuple[int, ...], uv_img: Tensor, index_img: Tensor, mips: int, group: Tensor | None = None
) -> Tensor:
    """log2 of the longer side `[B,H,W]` of each pixel's footprint, in texels of a texture of `size` (height, width)."""
    chart = torch.where(index_img >= 0, 0 if group is None else group[index_img.clamp(min=0).long()], -1)
    texel = uv_img * torch.tensor([size[1], size[0]]).to(uv_img)
    longest = torch.zeros_like(uv_img[..., 0])
    for axis in (1, 2):
        distances = []
        for shift in (1, -1):
            # `roll` wraps around, so the neighbours of the pixels at the image border are set to background.
            other = chart.roll(shift, axis).clone()
            other.select(axis, 0 if shift == 1 else -1).fill_(-1)
            distance = (texel - texel.roll(shift, axis)).norm(dim=-1)
            distances.append(torch.where((other == chart) & (chart >= 0), distance, torch.inf))
        shortest = torch.minimum(*distances)
        longest = torch.maximum(longest, torch.where(shortest.isinf(), 0.0, shortest))
    return longest.clamp(min=1).log2().clamp(max=mips - 1)


def vertex_normals(vertices: Tensor, faces: Tensor) -> Tensor:
    """Unit normals `[B,V,3]`; see `headfit.raster.normals`."""
    a, b, c = (vertices[:, corner] for corner in faces.long().unbind(-1))
    of_face = torch.linalg.cross(b - a, c - a, dim=-1)
    total = torch.zeros_like(vertices)
    for corner in faces.long().unbind(-1):
        total = total.index_add(1, corner, of_face)
    # Squared, so that no gradient of a root at 0 is computed.
    square = total.square().sum(-1, keepdim=True)
    enough = square >= 1e-24
    return torch.where(enough, total / torch.where(enough, square, 1.0).sqrt(), 0.0)
