// One thread per pixel selects the level first; then, as in interpolate.cu, neighbouring threads process neighbouring
// channels.
#include "cuda/cuda.h"
#include "cuda/vertex_sums.h"

namespace headfit {
namespace cuda {
namespace {

// What a thread processes: a pixel, or one channel of it.
struct Place {
    int64_t image, pixel;
    int x, y, channel;
    bool inside;

    __device__ Place(const Sizes& sizes, int channels) {
        const int e = int(blockIdx.x * blockDim.x + threadIdx.x);
        y = int(blockIdx.y * blockDim.y + threadIdx.y);
        image = blockIdx.z;
        inside = e < sizes.width * channels && y < sizes.height;
        x = e / channels;
        channel = e % channels;
        pixel = (image * sizes.height + y) * sizes.width + x;
    }
};

template <class T>
__global__ void __launch_bounds__(kBlock) choose_level(TextureView<T> view, T* level) {
    const Place at(view.sizes, 1);
    if (at.inside) level[at.pixel] = view.face(at.pixel) >= 0 ? view.level(at.pixel, at.y, at.x) : T(-1);
}

template <class T>
__global__ void __launch_bounds__(kBlock) sample(TextureView<T> view, Attributes<T> texels, const T* level, T* out) {
    const Place at(view.sizes, texels.channels);
    if (!at.inside) return;
    T value = 0;
    if (level[at.pixel] >= 0) {
        const T* values = texels.of_image(at.image, view.mips.texels()) + at.channel;
        for_each_level(view.mips, level[at.pixel], view.uv_at(at.pixel), [&](const Bilinear<T>& tap, T share, int) {
            for (int i = 0; i < 4; ++i) value += share * tap.weight[i] * values[tap.texel[i] * texels.channels];
        });
    }
    out[at.pixel * texels.channels + at.channel] = value;
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    to_uv(TextureView<T> view, Attributes<T> texels, const T* level, const T* grad_image, T* grad_uv) {
    const Place at(view.sizes, 1);
    if (!at.inside) return;
    Vec2<T> total{0, 0};
    if (level[at.pixel] >= 0) {
        const T* values = texels.of_image(at.image, view.mips.texels());
        const T* g = grad_image + at.pixel * texels.channels;
        for_each_level(view.mips, level[at.pixel], view.uv_at(at.pixel), [&](const Bilinear<T>& tap, T share, int) {
            T value[4] = {0, 0, 0, 0};
            for (int c = 0; c < texels.channels; ++c)
                for (int i = 0; i < 4; ++i) value[i] += g[c] * values[tap.texel[i] * texels.channels + c];
            for (int i = 0; i < 4; ++i) total = total + share * value[i] * tap.slope[i];
        });
    }
    grad_uv[2 * at.pixel] = total.x;
    grad_uv[2 * at.pixel + 1] = total.y;
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    to_texels(TextureView<T> view, Attributes<T> texels, const T* level, const T* grad_image, VertexSums<T> sums) {
    const Place at(view.sizes, texels.channels);
    if (!at.inside || !(level[at.pixel] >= 0)) return;
    const T g = grad_image[at.pixel * texels.channels + at.channel];
    const int64_t first = texels.of_image(at.image, view.mips.texels()) - texels.values + at.channel;
    for_each_level(view.mips, level[at.pixel], view.uv_at(at.pixel), [&](const Bilinear<T>& tap, T share, int) {
        for (int i = 0; i < 4; ++i) sums.add(first + tap.texel[i] * texels.channels, share * tap.weight[i] * g);
    });
}

}  // namespace

template <class T>
void sample_texture(const TextureView<T>& view, const Attributes<T>& pyramid, T* image, T* level, const Queue& queue) {
    const Sizes& sizes = view.sizes;
    const dim3 block(kBlockX, kBlockY), per_pixel = grid_of(sizes.width, sizes.height, sizes.images),
        per_channel = grid_of(int64_t(sizes.width) * pyramid.channels, sizes.height, sizes.images);
    launch(choose_level<T>, per_pixel, block, queue, view, level);
    launch(sample<T>, per_channel, block, queue, view, pyramid, static_cast<const T*>(level), image);
}

template <class T>
void sample_texture_backward(const TextureView<T>& view, const Attributes<T>& pyramid, const T* level,
                             const T* grad_image, T* grad_pyramid, T* grad_uv, const Queue& queue) {
    const Sizes& sizes = view.sizes;
    const int channels = pyramid.channels;
    const dim3 block(kBlockX, kBlockY), per_pixel = grid_of(sizes.width, sizes.height, sizes.images),
        per_channel = grid_of(int64_t(sizes.width) * channels, sizes.height, sizes.images);
    if (grad_uv) launch(to_uv<T>, per_pixel, block, queue, view, pyramid, level, grad_image, grad_uv);
    if (!grad_pyramid) return;
    const double contributions = 8.0 * double(sizes.images) * sizes.height * sizes.width;  // to one value
    const int64_t count = (pyramid.shared ? 1 : sizes.images) * view.mips.texels() * channels;
    sum_to(grad_pyramid, count, contributions, queue, [&](const VertexSums<T>& sums) {
        launch(to_texels<T>, per_channel, block, queue, view, pyramid, level, grad_image, sums);
    });
}

#define HEADFIT_INSTANTIATE(T)                                                                                     \
    template void sample_texture<T>(const TextureView<T>&, const Attributes<T>&, T*, T*, const Queue&);            \
    template void sample_texture_backward<T>(const TextureView<T>&, const Attributes<T>&, const T*, const T*, T*,  \
                                             T*, const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
