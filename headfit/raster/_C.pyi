from torch import Tensor

NEAR: float

def rasterize(v_pix: Tensor, faces: Tensor, index_img: Tensor, bary: Tensor, depth: Tensor, threads: int) -> None: ...
def rasterize_backward(
    v_pix: Tensor,
    faces: Tensor,
    index_img: Tensor,
    grad_bary: Tensor,
    grad_depth: Tensor,
    grad_v: Tensor,
    threads: int,
) -> None: ...
def interpolate(
    attributes: Tensor, faces: Tensor, index_img: Tensor, bary: Tensor, image: Tensor, threads: int
) -> None: ...
def interpolate_backward(
    attributes: Tensor,
    faces: Tensor,
    index_img: Tensor,
    bary: Tensor,
    grad_image: Tensor,
    grad_attributes: Tensor | None,
    grad_bary: Tensor | None,
    threads: int,
) -> None: ...
def edge_grad_backward(
    grad_image: Tensor,
    image: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    group: Tensor,
    index_img: Tensor,
    grad_v: Tensor,
    threads: int,
) -> None: ...
def pixel_loss_backward(
    penalty: int,
    scale: float,
    grad_loss: Tensor,
    image: Tensor,
    target: Tensor,
    v_pix: Tensor,
    faces: Tensor,
    adjacency: Tensor,
    group: Tensor,
    index_img: Tensor,
    grad_v: Tensor,
    threads: int,
) -> None: ...
def sample_texture(
    pyramid: Tensor,
    height: int,
    width: int,
    levels: int,
    uv: Tensor,
    index_img: Tensor,
    group: Tensor | None,
    faces: int,
    image: Tensor,
    level: Tensor,
    threads: int,
) -> None: ...
def sample_texture_backward(
    pyramid: Tensor,
    height: int,
    width: int,
    levels: int,
    uv: Tensor,
    index_img: Tensor,
    level: Tensor,
    grad_image: Tensor,
    grad_pyramid: Tensor | None,
    grad_uv: Tensor | None,
    threads: int,
) -> None: ...
