// One thread per vertex of an image.
#include "core/normals.h"

#include "cuda/cuda.h"

namespace headfit {
namespace cuda {
namespace {

// What a thread processes: a row of [B*V].
struct Row {
    int64_t image, vertex, row;

    __device__ explicit Row(int64_t vertices) {
        row = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
        image = row / vertices;
        vertex = row % vertices;
    }
};

template <class T>
__global__ void __launch_bounds__(kBlock)
    find_normals(OppositeEdges opposite, int64_t rows, const T* vertices, Normals<T> out) {
    const Row at(opposite.vertices);
    if (at.row < rows) vertex_normal(opposite, vertices, at.image, at.vertex, out);
}

template <class T>
__global__ void __launch_bounds__(kBlock) to_sums(int64_t rows, Normals<const T> known, const T* grad_normals, T* grad_sums) {
    const int64_t row = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (row < rows) store(grad_sums, row, gradient_of_sum(known, grad_normals, row));
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    to_vertices(OppositeEdges opposite, int64_t rows, const T* vertices, const T* grad_sums, T* grad_vertices) {
    const Row at(opposite.vertices);
    if (at.row < rows)
        store(grad_vertices, at.row, gradient_of_vertex<T>(opposite, vertices, grad_sums, at.image, at.vertex));
}

}  // namespace

template <class T>
void vertex_normals(int64_t images, const OppositeEdges& opposite, const T* vertices, const Normals<T>& out,
                    const Queue& queue) {
    const int64_t rows = images * opposite.vertices;
    launch(find_normals<T>, grid_of_rows(rows), dim3(kBlock), queue, opposite, rows, vertices, out);
}

template <class T>
void vertex_normals_backward(int64_t images, const OppositeEdges& opposite, const T* vertices,
                             const Normals<const T>& known, const T* grad_normals, T* grad_sums, T* grad_vertices,
                             const Queue& queue) {
    const int64_t rows = images * opposite.vertices;
    const dim3 grid = grid_of_rows(rows), block(kBlock);
    launch(to_sums<T>, grid, block, queue, rows, known, grad_normals, grad_sums);
    launch(to_vertices<T>, grid, block, queue, opposite, rows, vertices, static_cast<const T*>(grad_sums),
           grad_vertices);
}

#define HEADFIT_INSTANTIATE(T)                                                                                     \
    template void vertex_normals<T>(int64_t, const OppositeEdges&, const T*, const Normals<T>&, const Queue&);     \
    template void vertex_normals_backward<T>(int64_t, const OppositeEdges&, const T*,              \
                                             const Normals<const T>&, const T*, T*, T*, const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
