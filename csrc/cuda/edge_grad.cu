// One thread per pair of pixels. Most pairs are equal and end at once. A jump has to know whether the pairs before and
// after it are jumps, too: it finds their boundaries again. Jumps are a few percent of the pairs that differ, so this
// costs little, while flags in memory would cost another pass over the picture.
#include "core/pair.h"
#include "cuda/cuda.h"
#include "cuda/vertex_sums.h"

namespace headfit {
namespace cuda {
namespace {

constexpr int kPairs = 128;  // threads of a block: few, as they need many registers

// Blocks that shall fit on a multiprocessor. Left to itself, the compiler spills registers in order to fit more.
template <class T>
constexpr int kResidentBlocks = sizeof(T) == 4 ? 5 : 3;

template <class T>
struct Scene {
    const T* v_pix;
    const int32_t *faces, *adjacency, *group, *index_img;
};

template <class Real, class T, class Loss>
__global__ void __launch_bounds__(kPairs, kResidentBlocks<T>)
    move_jumps(Shape shape, Scene<T> scene, Loss loss, VertexSums<T> sums) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    const int64_t image = blockIdx.z / 2;
    const int axis = int(blockIdx.z % 2), dx = 1 - axis, dy = axis;
    if (x + dx >= shape.width || y + dy >= shape.height) return;
    const int32_t* index = scene.index_img + image * shape.height * shape.width;
    const Mesh<Real, T> mesh{scene.v_pix + 3 * image * shape.vertices, scene.faces};
    const View<Real, T> view{{mesh, scene.adjacency, scene.group}, index, int32_t(shape.faces), shape.height, shape.width};
    if (view.face(x, y) == view.face(x + dx, y + dy)) return;

    Pair pair{axis, x, y, (axis == 0 ? x : y) > 0, axis == 0 ? x + 2 < shape.width : y + 2 < shape.height, false, false};
    Boundary<Real> boundary;
    // Own pair, the one before, the one after: a loop, so that the long find_boundary stands in the code once.
    HEADFIT_NO_UNROLL
    for (int turn = 0; turn < 3; ++turn) {
        const int step = turn == 0 ? 0 : (turn == 1 ? -1 : 1);
        if ((turn == 1 && !pair.a_inside) || (turn == 2 && !pair.b_inside)) continue;
        const int32_t a = view.face(pair.at_x(step), pair.at_y(step));
        const int32_t b = view.face(pair.at_x(step + 1), pair.at_y(step + 1));
        Boundary<Real> found;
        if (a != b) found = find_boundary(view.surface, a, b, centre(view, pair, step), centre(view, pair, step + 1));
        const bool jump = found.jump != Jump::none;
        if (turn == 0) {
            if (!jump) return;
            boundary = found;
        } else {
            if (turn == 1)
                pair.a_usable = !jump;
            else
                pair.b_usable = !jump;
        }
    }
    const Real G = loss(image, view, pair, boundary);
    if (G == 0) return;
    const auto add = [&](int32_t vertex, int component, Real value) {
        sums.add(3 * (image * shape.vertices + vertex) + component, T(value));
    };
    move_boundary(mesh, boundary, centre(view, pair, 0), centre(view, pair, 1), axis, G, add);
}

template <class T, class Loss>
void add_jumps(const Shape& shape, const Scene<T>& scene, const Loss& loss, T* grad_v, void* scratch,
               const Queue& queue) {
    const dim3 block(kBlockX, kPairs / kBlockX);
    dim3 grid = grid_of(shape.width, shape.height, 2 * shape.images);
    grid.y = blocks_for(shape.height, int(block.y));
    // A pair adds to up to 6 vertices, 3 components each.
    const double contributions = 36.0 * double(shape.images) * shape.height * shape.width;
    sum_to(grad_v, 3 * shape.images * shape.vertices, contributions, scratch, queue, [&](const VertexSums<T>& sums) {
        launch(move_jumps<T, T, Loss>, grid, block, queue, shape, scene, loss, sums);
    });
}

}  // namespace

template <class T>
void edge_grad_backward(const Shape& shape, int channels, const T* grad_image, const T* image, const T* v_pix,
                        const int32_t* faces, const int32_t* adjacency, const int32_t* group, const int32_t* index_img,
                        T* grad_v, void* scratch, const Queue& queue) {
    const Scene<T> scene{v_pix, faces, adjacency, group, index_img};
    add_jumps(shape, scene, LossByGradient<T>{image, grad_image, channels}, grad_v, scratch, queue);
}

template <class T>
void pixel_loss_backward(const Shape& shape, int channels, Penalty penalty, double scale, const T* grad_loss,
                         const T* image, const T* target, const T* v_pix, const int32_t* faces,
                         const int32_t* adjacency, const int32_t* group, const int32_t* index_img, T* grad_v,
                         void* scratch, const Queue& queue) {
    const Scene<T> scene{v_pix, faces, adjacency, group, index_img};
    const LossByPenalty<T> loss{image, target, grad_loss, channels, penalty, scale};
    add_jumps(shape, scene, loss, grad_v, scratch, queue);
}

#define HEADFIT_INSTANTIATE(T)                                                                                       \
    template void edge_grad_backward<T>(const Shape&, int, const T*, const T*, const T*, const int32_t*,             \
                                        const int32_t*, const int32_t*, const int32_t*, T*, void*, const Queue&);    \
    template void pixel_loss_backward<T>(const Shape&, int, Penalty, double, const T*, const T*, const T*, const T*, \
                                         const int32_t*, const int32_t*, const int32_t*, const int32_t*, T*, void*,  \
                                         const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
