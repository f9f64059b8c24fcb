// One thread per pixel.
#include "core/labels.h"
#include "cuda/cuda.h"

namespace headfit {
namespace cuda {
namespace {

template <class T>
__global__ void __launch_bounds__(kBlock) compare_labels(LabelView<T> view, T* loss) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= view.sizes.width || y >= view.sizes.height) return;
    const int64_t b = blockIdx.z, pixel = (b * view.sizes.height + y) * view.sizes.width + x;
    const uint8_t* shares = view.shares_at(pixel);
    T sum = view.template cost_of_class<T>(view.class_of(b, view.index_img[pixel]), shares);
    for (int c = 0; c < view.classes; ++c) sum += view.cost_of_share(c, shares[c]);
    loss[pixel] = sum;
}

}  // namespace

template <class T>
void label_loss(const LabelView<T>& view, T* loss, const Queue& queue) {
    const dim3 grid = grid_of(view.sizes.width, view.sizes.height, view.sizes.images);
    launch(compare_labels<T>, grid, dim3(kBlockX, kBlockY), queue, view, loss);
}

template void label_loss<float>(const LabelView<float>&, float*, const Queue&);
template void label_loss<double>(const LabelView<double>&, double*, const Queue&);

}  // namespace cuda
}  // namespace headfit
