// One thread per pixel, and where light and gain need gradients, one for a few pixels of a column: neighbouring threads
// have neighbouring columns, and each adds up its own pixels in registers. Torch adds up the threads' sums, so nothing
// depends on the order in which they run.
#include "core/shade.h"
#include "cuda/cuda.h"

namespace headfit {
namespace cuda {
namespace {

constexpr int kColumn = 16;  // pixels of a thread that sums

template <class T>
struct ShadedPoint {
    UnitNormal<T> unit;
    Harmonics<T> h;
    T gloss;
    const T *light, *gain, *albedo;

    __device__ ShadedPoint(const ShadedView<T>& view, int64_t image, int64_t pixel)
        : unit(unit_normal(Vec3<T>{view.surface[4 * pixel], view.surface[4 * pixel + 1], view.surface[4 * pixel + 2]})),
          h(harmonics(unit.n)), gloss(view.surface[4 * pixel + 3]), light(view.light + 3 * kHarmonics * image),
          gain(view.gain + 3 * image), albedo(view.albedo + 3 * pixel) {}

    __device__ T colour(int c) const { return shaded(albedo[c], received(h, light + c), gloss, gain[c]); }
    __device__ ChannelGradients<T> backward(int c, T g) const {
        return shaded_backward(albedo[c], received(h, light + c), gloss, gain[c], g);
    }
};

template <class T>
__global__ void __launch_bounds__(kBlock) shade_points(ShadedView<T> view, T* image) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= view.sizes.width || y >= view.sizes.height) return;
    const int64_t b = blockIdx.z, pixel = (b * view.sizes.height + y) * view.sizes.width + x;
    T colour[3] = {0, 0, 0};
    if (view.index_img[pixel] >= 0) {
        const ShadedPoint<T> at(view, b, pixel);
        for (int c = 0; c < 3; ++c) colour[c] = at.colour(c);
    }
    for (int c = 0; c < 3; ++c) image[3 * pixel + c] = colour[c];
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    to_points(ShadedView<T> view, const bool* still, const T* grad_image, ShadeGradients<T> out) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= view.sizes.width || y >= view.sizes.height) return;
    const int64_t b = blockIdx.z, pixel = (b * view.sizes.height + y) * view.sizes.width + x;
    T albedo[3] = {0, 0, 0}, gloss = 0;
    Vec3<T> normal{0, 0, 0};
    if (view.index_img[pixel] >= 0) {
        const ShadedPoint<T> at(view, b, pixel);
        T light[3];
        for (int c = 0; c < 3; ++c) {
            const ChannelGradients<T> of = at.backward(c, grad_image[3 * pixel + c]);
            albedo[c] = of.albedo;
            light[c] = of.light;
            gloss += of.gloss;
        }
        normal = to_normal(at.unit, to_unit_normal(at.unit.n, at.light, Vec3<T>{light[0], light[1], light[2]}));
    }
    if (out.albedo)
        for (int c = 0; c < 3; ++c) out.albedo[3 * pixel + c] = albedo[c];
    if (!out.surface) return;
    const bool rests = still && still[pixel];
    out.surface[4 * pixel] = rests ? T(0) : normal.x;
    out.surface[4 * pixel + 1] = rests ? T(0) : normal.y;
    out.surface[4 * pixel + 2] = rests ? T(0) : normal.z;
    out.surface[4 * pixel + 3] = rests ? T(0) : gloss;
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    to_light(ShadedView<T> view, const T* grad_image, T* sums, int64_t parts) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), part = int(blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= view.sizes.width || int64_t(part) * kColumn >= view.sizes.height) return;
    const int64_t b = blockIdx.z;
    T total[kShadeSums];
    for (int i = 0; i < kShadeSums; ++i) total[i] = 0;
    HEADFIT_NO_UNROLL
    for (int y = part * kColumn; y < (part + 1) * kColumn && y < view.sizes.height; ++y) {
        const int64_t pixel = (b * view.sizes.height + y) * view.sizes.width + x;
        if (view.index_img[pixel] < 0) continue;
        const ShadedPoint<T> at(view, b, pixel);
        for (int c = 0; c < 3; ++c) {
            const ChannelGradients<T> of = at.backward(c, grad_image[3 * pixel + c]);
            for (int k = 0; k < kHarmonics; ++k) total[3 * k + c] += at.h.h[k] * of.light;
            total[3 * kHarmonics + c] += of.gain;
        }
    }
    for (int i = 0; i < kShadeSums; ++i)
        sums[(b * kShadeSums + i) * parts + int64_t(part) * view.sizes.width + x] = total[i];
}

}  // namespace

int64_t shade_sums(int height, int width) { return (int64_t(height) + kColumn - 1) / kColumn * width; }

template <class T>
void shade(const ShadedView<T>& view, T* image, const Queue& queue) {
    const dim3 grid = grid_of(view.sizes.width, view.sizes.height, view.sizes.images);
    launch(shade_points<T>, grid, dim3(kBlockX, kBlockY), queue, view, image);
}

template <class T>
void shade_backward(const ShadedView<T>& view, const bool* still, const T* grad_image, const ShadeGradients<T>& out,
                    const Queue& queue) {
    const Sizes& sizes = view.sizes;
    const dim3 block(kBlockX, kBlockY), per_pixel = grid_of(sizes.width, sizes.height, sizes.images),
        per_column = grid_of(sizes.width, sizes.height, sizes.images, kBlockY * kColumn);
    if (out.albedo || out.surface) launch(to_points<T>, per_pixel, block, queue, view, still, grad_image, out);
    if (!out.sums) return;
    launch(to_light<T>, per_column, block, queue, view, grad_image, out.sums, shade_sums(sizes.height, sizes.width));
}

#define HEADFIT_INSTANTIATE(T)                                                                                     \
    template void shade<T>(const ShadedView<T>&, T*, const Queue&);                                                \
    template void shade_backward<T>(const ShadedView<T>&, const bool*, const T*, const ShadeGradients<T>&,         \
                                    const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
