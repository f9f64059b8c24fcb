// First a thread per pixel chooses the level; then, as in interpolate.cu, neighbouring threads take neighbouring channels.
#include "core/texture.h"

#include "cuda/cuda.h"
#include "cuda/vertex_sums.h"

namespace headfit {
namespace cuda {
namespace {

template <class T>
struct Texels {
    const T* values;  // [B,N,C], or [N,C] if shared
    int channels;
    bool shared;

    // First value of an image's texture.
    __device__ int64_t first(const MipShape& mips, int64_t image) const {
        return shared ? 0 : image * mips.texels() * channels;
    }
};

// The place of a thread: a pixel, or one channel of it.
struct Place {
    int64_t image, pixel;
    int x, y, channel;
    bool inside;

    __device__ Place(const Shape& shape, int channels) {
        const int e = int(blockIdx.x * blockDim.x + threadIdx.x);
        y = int(blockIdx.y * blockDim.y + threadIdx.y);
        image = blockIdx.z;
        inside = e < shape.width * channels && y < shape.height;
        x = e / channels;
        channel = e % channels;
        pixel = (image * shape.height + y) * shape.width + x;
    }
};

template <class T>
__global__ void __launch_bounds__(kBlock) choose_level(TextureView<T> view, T* level) {
    const Place at(view.shape, 1);
    if (at.inside) level[at.pixel] = view.face(at.pixel) >= 0 ? view.level(at.pixel, at.y, at.x) : T(-1);
}

template <class T>
__global__ void __launch_bounds__(kBlock) sample(TextureView<T> view, Texels<T> texels, const T* level, T* out) {
    const Place at(view.shape, texels.channels);
    if (!at.inside) return;
    T value = 0;
    if (level[at.pixel] >= 0) {
        const T* values = texels.values + texels.first(view.mips, at.image) + at.channel;
        for_each_level(view.mips, level[at.pixel], view.uv_at(at.pixel), [&](const Bilinear<T>& tap, T share, int) {
            for (int i = 0; i < 4; ++i) value += share * tap.weight[i] * values[tap.texel[i] * texels.channels];
        });
    }
    out[at.pixel * texels.channels + at.channel] = value;
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    to_uv(TextureView<T> view, Texels<T> texels, const T* level, const T* grad_image, T* grad_uv) {
    const Place at(view.shape, 1);
    if (!at.inside) return;
    Vec2<T> total{0, 0};
    if (level[at.pixel] >= 0) {
        const T* values = texels.values + texels.first(view.mips, at.image);
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
    to_texels(TextureView<T> view, Texels<T> texels, const T* level, const T* grad_image, VertexSums<T> sums) {
    const Place at(view.shape, texels.channels);
    if (!at.inside || !(level[at.pixel] >= 0)) return;
    const T g = grad_image[at.pixel * texels.channels + at.channel];
    const int64_t first = texels.first(view.mips, at.image) + at.channel;
    for_each_level(view.mips, level[at.pixel], view.uv_at(at.pixel), [&](const Bilinear<T>& tap, T share, int) {
        for (int i = 0; i < 4; ++i) sums.add(first + tap.texel[i] * texels.channels, share * tap.weight[i] * g);
    });
}

}  // namespace

template <class T>
void sample_texture(const Shape& shape, const MipShape& mips, int channels, bool shared, const T* pyramid, const T* uv,
                    const int32_t* index_img, const int32_t* group, T* image, T* level, const Queue& queue) {
    const TextureView<T> view{shape, mips, uv, index_img, group};
    const dim3 block(kBlockX, kBlockY);
    launch(choose_level<T>, grid_of(shape.width, shape.height, shape.images), block, queue, view, level);
    launch(sample<T>, grid_of(int64_t(shape.width) * channels, shape.height, shape.images), block, queue, view,
           Texels<T>{pyramid, channels, shared}, static_cast<const T*>(level), image);
}

template <class T>
void sample_texture_backward(const Shape& shape, const MipShape& mips, int channels, bool shared, const T* pyramid,
                             const T* uv, const T* level, const T* grad_image, T* grad_pyramid, T* grad_uv,
                             void* scratch, const Queue& queue) {
    const TextureView<T> view{shape, mips, uv, nullptr, nullptr};
    const Texels<T> texels{pyramid, channels, shared};
    const dim3 block(kBlockX, kBlockY);
    if (grad_uv)
        launch(to_uv<T>, grid_of(shape.width, shape.height, shape.images), block, queue, view, texels, level,
               grad_image, grad_uv);
    if (!grad_pyramid) return;
    const dim3 grid = grid_of(int64_t(shape.width) * channels, shape.height, shape.images);
    const double contributions = 8.0 * double(shape.images) * shape.height * shape.width;  // to one value
    sum_to(grad_pyramid, (shared ? 1 : shape.images) * mips.texels() * channels, contributions, scratch, queue,
           [&](const VertexSums<T>& sums) {
               launch(to_texels<T>, grid, block, queue, view, texels, level, grad_image, sums);
           });
}

#define HEADFIT_INSTANTIATE(T)                                                                                    \
    template void sample_texture<T>(const Shape&, const MipShape&, int, bool, const T*, const T*, const int32_t*, \
                                    const int32_t*, T*, T*, const Queue&);                                        \
    template void sample_texture_backward<T>(const Shape&, const MipShape&, int, bool, const T*, const T*,        \
                                             const T*, const T*, T*, T*, void*, const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
