// A thread processes a few pixels of a column and adds to the vertices once for each run of pixels that see the same
// face: this takes a half to a tenth of the atomics, and the reads of a warp remain whole sectors.
#include "core/triangle.h"
#include "cuda/cuda.h"
#include "cuda/vertex_sums.h"

namespace headfit {
namespace cuda {
namespace {

constexpr int kRun = 8;  // pixels per thread

constexpr int kResidentBlocks = 2;  // per multiprocessor, at least: without this bound the compiler spills registers

// Computes in double, as the CPU does, also for floats: products of finite coordinates may exceed the range of floats.
using Real = double;

template <class T>
__global__ void __launch_bounds__(kBlock, kResidentBlocks)
    add_face_gradients(Scene<T> scene, const T* grad_bary, const T* grad_depth, VertexSums<T> sums) {
    const Sizes& sizes = scene.sizes;
    const int32_t* index_img = scene.index_img;
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x);
    const int y0 = int(blockIdx.y * blockDim.y + threadIdx.y) * kRun;
    const int64_t image = blockIdx.z;
    if (x >= sizes.width || y0 >= sizes.height) return;
    const int y1 = y0 + kRun < sizes.height ? y0 + kRun : sizes.height;
    const Mesh<Real, T> mesh = scene.template mesh<Real>(image);
    const int64_t pixels = image * sizes.height * sizes.width + x;
    for (int y = y0; y < y1;) {
        const int first = y;
        const int32_t face = index_img[pixels + int64_t(y) * sizes.width];
        if (face < 0 || face >= sizes.faces) {
            ++y;
            continue;
        }
        // BaryDepthBackward takes pixels of a row, so x and y are exchanged. Barycentrics do not change by that.
        const int32_t id[3] = {mesh.vertex_id(face, 0), mesh.vertex_id(face, 1), mesh.vertex_id(face, 2)};
        Corners<Three<Real>> p(mesh, id);
        const Three<Real> px = p.x;
        p.x = p.y;
        p.y = px;
        BaryDepthBackward<Three<Real>> run(p, {first + Real(0.5), x + Real(0.5)});
        for (; y < y1 && index_img[pixels + int64_t(y) * sizes.width] == face; ++y) {
            const int64_t pixel = pixels + int64_t(y) * sizes.width;
            const T* g = grad_bary + 3 * pixel;
            const T grad_b[3] = {g[0], g[1], g[2]};
            run.add_pixel(y - first, grad_b, Real(grad_depth[pixel]));
        }
        Three<Real> grad_x, grad_y, grad_z;
        run.vertices(grad_y, grad_x, grad_z);
        for (int k = 0; k < 3; ++k) {
            const int64_t at = 3 * (image * sizes.vertices + id[k]);
            sums.add(at, T(grad_x[k]));
            sums.add(at + 1, T(grad_y[k]));
            sums.add(at + 2, T(grad_z[k]));
        }
    }
}

}  // namespace

template <class T>
void rasterize_backward(const Scene<T>& scene, const T* grad_bary, const T* grad_depth, T* grad_v, const Queue& queue) {
    const Sizes& sizes = scene.sizes;
    const dim3 grid = grid_of(sizes.width, sizes.height, sizes.images, kBlockY * kRun);
    const double contributions = 9.0 * double(sizes.images) * sizes.height * sizes.width;
    sum_to(grad_v, 3 * sizes.images * sizes.vertices, contributions, queue, [&](const VertexSums<T>& sums) {
        launch(add_face_gradients<T>, grid, dim3(kBlockX, kBlockY), queue, scene, grad_bary, grad_depth, sums);
    });
}

template void rasterize_backward<float>(const Scene<float>&, const float*, const float*, float*, const Queue&);
template void rasterize_backward<double>(const Scene<double>&, const double*, const double*, double*, const Queue&);

}  // namespace cuda
}  // namespace headfit
