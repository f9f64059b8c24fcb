// One thread per pair of pixels. Most pairs see the same face and end at once. A jump has to know whether the pairs
// before and after it are jumps as well, so its thread finds their boundaries again. Jumps are a few percent of the
// pairs that differ, so this costs little, while flags in memory would cost another pass over the image.
#include "core/pair.h"
#include "cuda/cuda.h"
#include "cuda/vertex_sums.h"

namespace headfit {
namespace cuda {
namespace {

constexpr int kPairs = 128;  // threads per block: few, since each needs many registers

constexpr int kResidentBlocks = 3;  // per multiprocessor, at least: without this bound the compiler spills registers

// Computes in double, as the CPU does, also for floats: whether a face is turned away and where a walk leaves it depends on
// differences of products, and on faces with almost no area floats decide differently. Only pairs that differ pay for it.
using Real = double;

template <class T, class Loss>
__global__ void __launch_bounds__(kPairs, kResidentBlocks)
    move_jumps(Scene<T> scene, Loss loss, VertexSums<T> sums) {
    const Sizes& sizes = scene.sizes;
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    const int64_t image = blockIdx.z / 2;
    const int axis = int(blockIdx.z % 2), dx = 1 - axis, dy = axis;
    if (x + dx >= sizes.width || y + dy >= sizes.height) return;
    const RasterView<Real, T> view = scene.template view<Real>(image);
    if (view.face(x, y) == view.face(x + dx, y + dy)) return;

    const bool a_inside = (axis == 0 ? x : y) > 0, b_inside = axis == 0 ? x + 2 < sizes.width : y + 2 < sizes.height;
    PixelPair pair{axis, x, y, a_inside, b_inside, false, false};
    Boundary<Real> boundary;
    // This pair, the one before, the one after: a loop, so that the long find_boundary is inlined only once.
    HEADFIT_NO_UNROLL
    for (int which = 0; which < 3; ++which) {
        const int step = which == 0 ? 0 : (which == 1 ? -1 : 1);
        if ((which == 1 && !pair.a_inside) || (which == 2 && !pair.b_inside)) continue;
        const int32_t a = view.face(pair.at_x(step), pair.at_y(step));
        const int32_t b = view.face(pair.at_x(step + 1), pair.at_y(step + 1));
        Boundary<Real> found;
        if (a != b) found = find_boundary(view.surface, a, b, centre(view, pair, step), centre(view, pair, step + 1));
        const bool jump = found.jump != Jump::none;
        if (which == 0) {
            if (!jump) return;
            boundary = found;
        } else {
            if (which == 1)
                pair.a_usable = !jump;
            else
                pair.b_usable = !jump;
        }
    }
    const Real G = loss(image, view, pair, boundary);
    if (G == 0) return;
    const auto add = [&](int32_t vertex, int component, Real value) {
        sums.add(3 * (image * sizes.vertices + vertex) + component, T(value));
    };
    move_boundary(view.surface.mesh, boundary, centre(view, pair, 0), centre(view, pair, 1), axis, G, add);
}

}  // namespace

template <class T, class Loss>
void edge_grad_backward(const Scene<T>& scene, const Loss& loss, T* grad_v, const Queue& queue) {
    const Sizes& sizes = scene.sizes;
    const dim3 block(kBlockX, kPairs / kBlockX);
    const dim3 grid = grid_of(sizes.width, sizes.height, sizes.images, int(block.y), 2);  // layers: pairs along x and along y
    // A pair adds to up to 6 vertices, 3 components each; there are two pairs for each pixel.
    const double contributions = 36.0 * double(sizes.images) * sizes.height * sizes.width;
    sum_to(grad_v, 3 * sizes.images * sizes.vertices, contributions, queue, [&](const VertexSums<T>& sums) {
        launch(move_jumps<T, Loss>, grid, block, queue, scene, loss, sums);
    });
}

#define HEADFIT_INSTANTIATE(T)                                                                         \
    template void edge_grad_backward<T>(const Scene<T>&, const LossByGradient<T>&, T*, const Queue&);  \
    template void edge_grad_backward<T>(const Scene<T>&, const LossByPenalty<T>&, T*, const Queue&);   \
    template void edge_grad_backward<T>(const Scene<T>&, const LossOfLabels<T>&, T*, const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
