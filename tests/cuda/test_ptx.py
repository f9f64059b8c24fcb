"""The executor of PTX reports kernels that are wrong on purpose; and ptxas has nothing to contract."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

from headfit.raster import ops
from tests.cuda import building
from tests.cuda.ptx import build
from tests.cuda.ptx.listing import contractible
from tests.support.kernel_scenes import F64, HEIGHT, SCENES, WIDTH, assert_close, edge_inputs, noise

pytestmark = [pytest.mark.slow, pytest.mark.skipif(build.nvcc() is None, reason=build.NO_NVCC)]

PLAIN_SUMS = build.Change(
    "interpolate", "plain_sums", edit=("vertex_sums.h", "atomicAdd(out + i, value);", "out[i] += value;")
)
MISSING_ROW = build.Change(
    "interpolate",
    "missing_row",
    edit=(
        "interpolate.cu",
        "out[at] = value;",
        "if (y > 0) out[at] = value;",
    ),
)
CONTRACTED = [build.Change("edge_grad", f"contracted_{prefer}", contracted=prefer) for prefer in (0, 1)]
Operators = Callable[[ModuleType], Any]
Variants = dict[build.Change, ModuleType]


@pytest.fixture(scope="module")
def variants() -> Variants:
    """The kernels with each change; built at once, since compilers take most of the time."""
    changes = [*CONTRACTED, PLAIN_SUMS, MISSING_ROW]
    build.load()
    return dict(zip(changes, building.in_parallel(build.load, changes), strict=True))


def interpolation() -> tuple[torch.Tensor, ...]:
    """attributes, faces, index_img, bary"""
    v_pix, faces = SCENES["medium"]()
    index_img, bary, _ = ops.rasterize(v_pix, faces, HEIGHT, WIDTH)
    return noise(v_pix), faces, index_img, bary


@pytest.mark.parametrize("kernels", build.KERNELS)
def test_nothing_to_contract(kernels: str) -> None:
    """All arithmetic has a rounding mode, so ptxas computes what is computed here."""
    listed = build.kernels_of(kernels)
    assert any(".rn.f" in statement for kernel in listed for statement in kernel.statements)
    assert [found for kernel in listed for found in contractible(kernel)] == []


@pytest.mark.parametrize("change", CONTRACTED, ids=lambda change: change.name)
def test_contraction_breaks_collapsed_faces(operators_on: Operators, variants: Variants, change: build.Change) -> None:
    """Why it must not: the area of a collapsed face is then no longer 0, but the rounding error of a product."""
    contracted = variants[change]
    image, *mesh = edge_inputs("collapsed faces", F64)
    inputs = noise(image), image, None, *mesh
    want = ops.edge_grad_backward(*inputs)
    assert_close(operators_on(build.load()).edge_grad_backward(*inputs), want)
    with pytest.raises(AssertionError):
        assert_close(operators_on(contracted).edge_grad_backward(*inputs), want, of_double=1e-3)
    assert contracted.take_faults() == []


def test_a_vertex_index_beyond_the_array(operators_on: Operators) -> None:
    kernels = build.load()
    attributes, faces, index_img, bary = interpolation()
    faces = faces.clone()
    faces[index_img[index_img >= 0][0], 1] = 2**20
    with pytest.raises(RuntimeError, match="illegal address"):
        operators_on(kernels).interpolate(attributes, faces, index_img, bary, None)
    assert any("outside of all arrays" in fault and "ld.global" in fault for fault in kernels.take_faults())


def test_sums_without_atomics(operators_on: Operators, variants: Variants) -> None:
    kernels = variants[PLAIN_SUMS]
    attributes, faces, index_img, bary = interpolation()
    grad = torch.ones(*index_img.shape, 3)
    operators_on(kernels).interpolate_backward(attributes, faces, index_img, bary, grad, True, False)
    assert any("data race" in fault for fault in kernels.take_faults())


def test_a_row_that_is_not_written(operators_on: Operators, variants: Variants) -> None:
    kernels = variants[MISSING_ROW]
    operators_on(kernels).interpolate(*interpolation(), None)
    assert any(f"{2 * 3 * WIDTH} words of an output were not written" in fault for fault in kernels.take_faults())
