#include <algorithm>
#include <vector>

#include "core/texture.h"
#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/parallel.h"

namespace headfit {
namespace {

// All levels, looked up rather than counted.
struct LevelTable {
    std::vector<MipLevel> levels;

    explicit LevelTable(const MipShape& mips) {
        for (int n = 0; n < mips.levels; ++n) levels.push_back(mips.level(n));
    }
    const MipLevel& level(int n) const { return levels[n]; }
};

}  // namespace

template <class T>
void sample_texture(const Shape& shape, const MipShape& mips, int channels, bool shared, const T* pyramid, const T* uv,
                    const int32_t* index_img, const int32_t* group, T* image, T* level, int threads) {
    const LevelTable levels(mips);
    const TextureView<T> view{shape, mips, uv, index_img, group};
    const int64_t pixels = int64_t(shape.height) * shape.width;
    for (int64_t i = 0; i < shape.images * pixels; ++i) check_face(shape, index_img[i]);
    parallel_for(shape.images * shape.height, threads, [&](int64_t row) {
        const int64_t b = row / shape.height;
        const T* texels = pyramid + (shared ? 0 : b * mips.texels() * channels);
        for (int x = 0; x < shape.width; ++x) {
            const int64_t pixel = row * shape.width + x;
            T* out = image + pixel * channels;
            std::fill(out, out + channels, T(0));
            level[pixel] = -1;
            if (index_img[pixel] < 0) continue;
            level[pixel] = view.level(pixel, int(row % shape.height), x);
            for_each_level(levels, level[pixel], view.uv_at(pixel), [&](const Bilinear<T>& tap, T share, int) {
                for (int i = 0; i < 4; ++i)
                    for (int c = 0; c < channels; ++c)
                        out[c] += share * tap.weight[i] * texels[tap.texel[i] * channels + c];
            });
        }
    });
}

namespace {

template <class T>
void gradient_of_uv(const TextureView<T>& view, const LevelTable& levels, int channels, bool shared,
                    const T* pyramid, const T* level, const T* grad_image, T* grad_uv, int64_t row) {
    const T* texels = pyramid + (shared ? 0 : row / view.shape.height * view.mips.texels() * channels);
    for (int64_t pixel = row * view.shape.width; pixel < (row + 1) * view.shape.width; ++pixel) {
        Vec2<T> total{0, 0};
        const T* g = grad_image + pixel * channels;
        if (view.index_img[pixel] >= 0)
            for_each_level(levels, level[pixel], view.uv_at(pixel), [&](const Bilinear<T>& tap, T share, int) {
                for (int i = 0; i < 4; ++i) {
                    T value = 0;
                    for (int c = 0; c < channels; ++c) value += g[c] * texels[tap.texel[i] * channels + c];
                    total = total + share * value * tap.slope[i];
                }
            });
        grad_uv[2 * pixel] = total.x;
        grad_uv[2 * pixel + 1] = total.y;
    }
}

// Each worker goes over all pixels in order and adds to the texel rows that are its own: no atomics, and sums that do not
// depend on how many workers there are.
template <class T>
void gradient_of_texels(const TextureView<T>& view, const LevelTable& levels, int channels, bool shared,
                        const T* level, const T* grad_image, T* grad_pyramid, int worker, int workers) {
    constexpr int kRows = 8;
    const int64_t pixels = int64_t(view.shape.height) * view.shape.width;
    for (int64_t pixel = 0; pixel < view.shape.images * pixels; ++pixel) {
        if (view.index_img[pixel] < 0) continue;
        const T* g = grad_image + pixel * channels;
        T* texels = grad_pyramid + (shared ? 0 : pixel / pixels * view.mips.texels() * channels);
        for_each_level(levels, level[pixel], view.uv_at(pixel), [&](const Bilinear<T>& tap, T share, int n) {
            for (int i = 0; i < 4; ++i) {
                if ((tap.row[i] / kRows + n) % workers != worker) continue;
                for (int c = 0; c < channels; ++c)
                    texels[tap.texel[i] * channels + c] += share * tap.weight[i] * g[c];
            }
        });
    }
}

}  // namespace

template <class T>
void sample_texture_backward(const Shape& shape, const MipShape& mips, int channels, bool shared, const T* pyramid,
                             const T* uv, const int32_t* index_img, const T* level, const T* grad_image,
                             T* grad_pyramid, T* grad_uv, int threads) {
    const LevelTable levels(mips);
    const TextureView<T> view{shape, mips, uv, index_img, nullptr};
    if (grad_uv)
        parallel_for(shape.images * shape.height, threads, [&](int64_t row) {
            gradient_of_uv(view, levels, channels, shared, pyramid, level, grad_image, grad_uv, row);
        });
    if (grad_pyramid) {
        std::fill(grad_pyramid, grad_pyramid + (shared ? 1 : shape.images) * mips.texels() * channels, T(0));
        run_workers(threads, [&](int worker) {
            gradient_of_texels(view, levels, channels, shared, level, grad_image, grad_pyramid, worker, threads);
        });
    }
}

#define HEADFIT_INSTANTIATE(T)                                                                                       \
    template void sample_texture<T>(const Shape&, const MipShape&, int, bool, const T*, const T*, const int32_t*,    \
                                    const int32_t*, T*, T*, int);                                                   \
    template void sample_texture_backward<T>(const Shape&, const MipShape&, int, bool, const T*, const T*,           \
                                             const int32_t*, const T*, const T*, T*, T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
