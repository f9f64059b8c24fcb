// One thread per vertex of an image, and where the forms need gradients, one per part of an image's vertices and form.
#include "core/gloss.h"

#include "cuda/cuda.h"

namespace headfit {
namespace cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(kBlock) find_gloss(GlossyView<T> view, T* out) {
    const int64_t row = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (row < view.images * view.vertices) out[row] = gloss_of(view, row / view.vertices, row % view.vertices);
}

template <class T>
__global__ void __launch_bounds__(kBlock) to_glossy(GlossyView<T> view, const T* grad, GlossGradients<T> out) {
    const int64_t row = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (row >= view.images * view.vertices) return;
    const int64_t image = row / view.vertices, vertex = row % view.vertices;
    if (view.glossy(vertex)) {
        gloss_backward(view, Mirror<T>(view, image, vertex), image, vertex, grad[row], out);
    } else {
        store(out.positions, row, Vec3<T>{0, 0, 0});
        store(out.normals, row, Vec3<T>{0, 0, 0});
    }
}

template <class T>
__global__ void __launch_bounds__(kBlock) to_forms(GlossyView<T> view, const T* grad, T* grad_forms) {
    const int64_t number = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;  // of a part and a kind
    if (number >= view.images * view.parts() * view.kinds) return;
    const int64_t kind = number % view.kinds, image = number / view.kinds / view.parts(),
                  part = number / view.kinds % view.parts();
    FormSums<T> sums;
    HEADFIT_NO_UNROLL
    for (int64_t v = part * kGlossPart; v < view.end(part); ++v)
        if (view.kind[v] == kind) sums.add(Mirror<T>(view, image, v).of, grad[image * view.vertices + v]);
    sums.write(grad_forms + kHarmonics * kHarmonics * number);
}

}  // namespace

template <class T>
void gloss(const GlossyView<T>& view, T* out, const Queue& queue) {
    launch(find_gloss<T>, grid_of_rows(view.images * view.vertices), dim3(kBlock), queue, view, out);
}

template <class T>
void gloss_backward(const GlossyView<T>& view, const T* grad, const GlossGradients<T>& out, const Queue& queue) {
    const dim3 rows = grid_of_rows(view.images * view.vertices), block(kBlock),
               parts = grid_of_rows(view.images * view.parts() * view.kinds);
    launch(to_glossy<T>, rows, block, queue, view, grad, out);
    launch(to_forms<T>, parts, block, queue, view, grad, out.forms);
}

#define HEADFIT_INSTANTIATE(T)                                            \
    template void gloss<T>(const GlossyView<T>&, T*, const Queue&);       \
    template void gloss_backward<T>(const GlossyView<T>&, const T*, const GlossGradients<T>&, const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
