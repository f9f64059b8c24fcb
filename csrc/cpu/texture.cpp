#include <algorithm>
#include <type_traits>
#include <vector>

#include "core/texture.h"
#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/parallel.h"

namespace headfit {
namespace {

// All levels in a table, so that they are not recomputed for each sample.
struct LevelTable {
    std::vector<MipLevel> levels;

    explicit LevelTable(const MipSizes& mips) {
        for (int n = 0; n < mips.levels; ++n) levels.push_back(mips.level(n));
    }
    const MipLevel& level(int n) const { return levels[n]; }
};

// Calls work(channels) with the number of channels, which for colours is a constant that loops are unrolled for.
template <class Work>
void with_channels(int channels, const Work& work) {
    if (channels == 3)
        work(std::integral_constant<int, 3>());
    else
        work(channels);
}

}  // namespace

template <class T>
void sample_texture(const TextureView<T>& view, const Attributes<T>& pyramid, T* image, T* level, int threads) {
    const Sizes& sizes = view.sizes;
    const LevelTable levels(view.mips);
    for (int64_t i = 0; i < sizes.images * sizes.pixels(); ++i) check_face(sizes, view.index_img[i]);
    const auto sample_row = [&](int64_t row, auto channels) {
        const T* texels = pyramid.of_image(row / sizes.height, view.mips.texels());
        const int y = int(row % sizes.height);
        for (int x = 0; x < sizes.width; ++x) {
            const int64_t pixel = row * sizes.width + x;
            T* out = image + pixel * channels;
            std::fill(out, out + channels, T(0));
            level[pixel] = -1;
            if (view.index_img[pixel] < 0) continue;
            level[pixel] = view.level(pixel, y, x);
            for_each_level(levels, level[pixel], view.uv_at(pixel), [&](const Bilinear<T>& tap, T share, int) {
                for (int c = 0; c < channels; ++c) {
                    T total = out[c];
                    for (int i = 0; i < 4; ++i)
                        total += share * tap.weight[i] * texels[tap.texel[i] * channels + c];
                    out[c] = total;
                }
            });
        }
    };
    with_channels(pyramid.channels, [&](auto channels) {
        parallel_for(sizes.images * sizes.height, threads, [&](int64_t row) { sample_row(row, channels); });
    });
}

namespace {

template <class T, class Channels>
void gradient_of_uv(const TextureView<T>& view, const LevelTable& levels, const Attributes<T>& pyramid,
                    Channels channels, const T* level, const T* grad_image, T* grad_uv, int64_t row) {
    const T* texels = pyramid.of_image(row / view.sizes.height, view.mips.texels());
    for (int64_t pixel = row * view.sizes.width; pixel < (row + 1) * view.sizes.width; ++pixel) {
        Vec2<T> total{0, 0};
        const T* g = grad_image + pixel * channels;
        if (level[pixel] >= 0)
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

// Each worker visits all pixels in order and adds to the texel rows it owns: no atomics, and sums that do not depend on
// the number of workers.
template <class T, class Channels>
void gradient_of_texels(const TextureView<T>& view, const LevelTable& levels, const Attributes<T>& pyramid,
                        Channels channels, const T* level, const T* grad_image, T* grad_pyramid, int worker,
                        int workers) {
    constexpr int kRows = 8;
    const int64_t pixels = view.sizes.pixels();
    for (int64_t pixel = 0; pixel < view.sizes.images * pixels; ++pixel) {
        if (!(level[pixel] >= 0)) continue;
        const T* g = grad_image + pixel * channels;
        T* texels = grad_pyramid + (pyramid.shared ? 0 : pixel / pixels * view.mips.texels() * channels);
        for_each_level(levels, level[pixel], view.uv_at(pixel), [&](const Bilinear<T>& tap, T share, int n) {
            for (int first = 0; first < 4; first += 2) {  // two texels of one row
                if (workers > 1 && (tap.row[first] / kRows + n) % workers != worker) continue;
                for (int i = first; i < first + 2; ++i)
                    for (int c = 0; c < channels; ++c)
                        texels[tap.texel[i] * channels + c] += share * tap.weight[i] * g[c];
            }
        });
    }
}

}  // namespace

template <class T>
void sample_texture_backward(const TextureView<T>& view, const Attributes<T>& pyramid, const T* level,
                             const T* grad_image, T* grad_pyramid, T* grad_uv, int threads) {
    const LevelTable levels(view.mips);
    if (grad_uv)
        with_channels(pyramid.channels, [&](auto channels) {
            parallel_for(view.sizes.images * view.sizes.height, threads, [&](int64_t row) {
                gradient_of_uv(view, levels, pyramid, channels, level, grad_image, grad_uv, row);
            });
        });
    if (grad_pyramid) {
        const int64_t textures = pyramid.shared ? 1 : view.sizes.images;
        std::fill(grad_pyramid, grad_pyramid + textures * view.mips.texels() * pyramid.channels, T(0));
        with_channels(pyramid.channels, [&](auto channels) {
            run_workers(threads, [&](int worker) {
                gradient_of_texels(view, levels, pyramid, channels, level, grad_image, grad_pyramid, worker, threads);
            });
        });
    }
}

#define HEADFIT_INSTANTIATE(T)                                                                        \
    template void sample_texture<T>(const TextureView<T>&, const Attributes<T>&, T*, T*, int);        \
    template void sample_texture_backward<T>(const TextureView<T>&, const Attributes<T>&, const T*,   \
                                             const T*, T*, T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
