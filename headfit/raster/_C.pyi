from torch import Tensor

NEAR: float
GLOSS_PART: int
LEAST_SHADING: float
PENALTIES: tuple[str, ...]

class Kernels:
    """The functions of a backend. `workspace`: uint8, may be empty; `queue`: a number of threads or a CUDA stream."""

    @staticmethod
    def rasterize_bytes(images: int, height: int, width: int) -> int: ...
    @staticmethod
    def deterministic_bytes(count: int) -> int: ...
    @staticmethod
    def shade_sums(height: int, width: int) -> int: ...
    @staticmethod
    def rasterize(
        v_pix: Tensor, faces: Tensor, index_img: Tensor, bary: Tensor, depth: Tensor, workspace: Tensor, queue: int
    ) -> None: ...
    @staticmethod
    def rasterize_backward(
        v_pix: Tensor,
        faces: Tensor,
        index_img: Tensor,
        grad_bary: Tensor,
        grad_depth: Tensor,
        grad_v: Tensor,
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
    def interpolate(
        attributes: Tensor,
        faces: Tensor,
        index_img: Tensor,
        bary: Tensor,
        image: Tensor,
        workspace: Tensor,
        queue: int,
        background: Tensor | None = None,
    ) -> None: ...
    @staticmethod
    def interpolate_backward(
        attributes: Tensor,
        faces: Tensor,
        index_img: Tensor,
        bary: Tensor,
        grad_image: Tensor,
        grad_attributes: Tensor | None,
        grad_bary: Tensor | None,
        workspace: Tensor,
        queue: int,
        grad_background: Tensor | None = None,
    ) -> None: ...
    @staticmethod
    def edge_grad_backward(
        grad: Tensor,
        image: Tensor,
        target: Tensor | None,
        penalty: str,
        scale: float,
        v_pix: Tensor,
        faces: Tensor,
        adjacency: Tensor,
        group: Tensor,
        index_img: Tensor,
        grad_v: Tensor,
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
    def label_loss(
        shares: Tensor,
        class_weight: Tensor,
        class_of_face: Tensor,
        shown_as: Tensor | None,
        index_img: Tensor,
        loss: Tensor,
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
    def label_loss_backward(
        grad: Tensor,
        shares: Tensor,
        class_weight: Tensor,
        class_of_face: Tensor,
        shown_as: Tensor | None,
        v_pix: Tensor,
        faces: Tensor,
        adjacency: Tensor,
        index_img: Tensor,
        grad_v: Tensor,
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
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
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
    def sample_texture_backward(
        pyramid: Tensor,
        height: int,
        width: int,
        levels: int,
        uv: Tensor,
        level: Tensor,
        grad_image: Tensor,
        grad_pyramid: Tensor | None,
        grad_uv: Tensor | None,
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
    def vertex_normals(
        vertices: Tensor,
        first: Tensor,
        edges: Tensor,
        normals: Tensor,
        lengths: Tensor,
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
    def vertex_normals_backward(
        vertices: Tensor,
        first: Tensor,
        edges: Tensor,
        normals: Tensor,
        lengths: Tensor,
        grad_normals: Tensor,
        grad_sums: Tensor,
        grad_vertices: Tensor,
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
    def shade(
        albedo: Tensor,
        surface: Tensor,
        light: Tensor,
        gain: Tensor,
        index_img: Tensor,
        image: Tensor,
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
    def shade_backward(
        albedo: Tensor,
        surface: Tensor,
        light: Tensor,
        gain: Tensor,
        index_img: Tensor,
        still: Tensor | None,
        grad_image: Tensor,
        grad_albedo: Tensor | None,
        grad_surface: Tensor | None,
        sums: Tensor | None,
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
    def gloss(
        vertices: Tensor,
        normals: Tensor,
        centres: Tensor,
        forms: Tensor,
        kind: Tensor,
        out: Tensor,
        workspace: Tensor,
        queue: int,
    ) -> None: ...
    @staticmethod
    def gloss_backward(
        vertices: Tensor,
        normals: Tensor,
        centres: Tensor,
        forms: Tensor,
        kind: Tensor,
        grad: Tensor,
        grad_vertices: Tensor,
        grad_normals: Tensor,
        grad_forms: Tensor,
        workspace: Tensor,
        queue: int,
    ) -> None: ...

cpu: type[Kernels]
cuda: type[Kernels]  # missing in a build without CUDA
