// A thread takes a few pixels, one below the other, and adds to the vertices once for each run of pixels that see the
// same face: a half to a tenth of the atomics, and the warp's reads remain whole sectors.
#include "core/triangle.h"
#include "cuda/cuda.h"
#include "cuda/vertex_sums.h"

namespace headfit {
namespace cuda {
namespace {

constexpr int kRun = 8;

// Blocks that shall fit on a multiprocessor. Left to itself, the compiler spills doubles in order to fit more.
template <class T>
constexpr int kResidentBlocks = sizeof(T) == 4 ? 4 : 2;

// Real: of the computation. E_k and S are sums without cancellation inside the face, so a float is enough for floats.
template <class T>
__global__ void __launch_bounds__(kBlock, kResidentBlocks<T>)
    add_face_gradients(Shape shape, const T* v_pix, const int32_t* faces, const int32_t* index_img, const T* grad_bary,
                       const T* grad_depth, VertexSums<T> sums) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x);
    const int y0 = int(blockIdx.y * blockDim.y + threadIdx.y) * kRun;
    const int64_t image = blockIdx.z;
    if (x >= shape.width || y0 >= shape.height) return;
    const int y1 = y0 + kRun < shape.height ? y0 + kRun : shape.height;
    const Mesh<T, T> mesh{v_pix + 3 * image * shape.vertices, faces};
    const int64_t pixels = image * shape.height * shape.width + x;
    for (int y = y0; y < y1;) {
        const int first = y;
        const int32_t face = index_img[pixels + int64_t(y) * shape.width];
        if (face < 0 || face >= shape.faces) {
            ++y;
            continue;
        }
        // BaryDepthBackward takes pixels of a row: mirror the picture, x for y. Barycentrics do not change by that.
        const int32_t id[3] = {mesh.vertex_id(face, 0), mesh.vertex_id(face, 1), mesh.vertex_id(face, 2)};
        Corners<Three<T>> p(mesh, id);
        const Three<T> px = p.x;
        p.x = p.y;
        p.y = px;
        BaryDepthBackward<Three<T>> run(p, {T(first) + T(0.5), T(x) + T(0.5)});
        for (; y < y1 && index_img[pixels + int64_t(y) * shape.width] == face; ++y) {
            const int64_t pixel = pixels + int64_t(y) * shape.width;
            const T* g = grad_bary + 3 * pixel;
            const T grad_b[3] = {g[0], g[1], g[2]};
            run.add_pixel(y - first, grad_b, grad_depth[pixel]);
        }
        Three<T> grad_x, grad_y, grad_z;
        run.vertices(grad_y, grad_x, grad_z);
        for (int k = 0; k < 3; ++k) {
            const int64_t at = 3 * (image * shape.vertices + id[k]);
            sums.add(at, grad_x[k]);
            sums.add(at + 1, grad_y[k]);
            sums.add(at + 2, grad_z[k]);
        }
    }
}

}  // namespace

template <class T>
void rasterize_backward(const Shape& shape, const T* v_pix, const int32_t* faces, const int32_t* index_img,
                        const T* grad_bary, const T* grad_depth, T* grad_v, void* scratch, const Queue& queue) {
    const dim3 grid = grid_of(shape.width, blocks_for(shape.height, kRun), shape.images);
    const double contributions = 9.0 * double(shape.images) * shape.height * shape.width;
    sum_to(grad_v, 3 * shape.images * shape.vertices, contributions, scratch, queue, [&](const VertexSums<T>& sums) {
        launch(add_face_gradients<T>, grid, dim3(kBlockX, kBlockY), queue, shape, v_pix, faces, index_img, grad_bary,
               grad_depth, sums);
    });
}

#define HEADFIT_INSTANTIATE(T)                                                                                      \
    template void rasterize_backward<T>(const Shape&, const T*, const int32_t*, const int32_t*, const T*, const T*, \
                                        T*, void*, const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
