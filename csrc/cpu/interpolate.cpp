#include <algorithm>

#include "cpu/cpu.h"
#include "cpu/runs.h"
#include "cpu/vertex_sums.h"

namespace headfit {
namespace {

// One image's attributes [V,C], with C known at compile time, or at run time if Fixed is 0.
template <class T, int Fixed>
struct FaceAttributes {
    const T* values;
    int run_time_channels;
    const int32_t* faces;

    int channels() const { return Fixed > 0 ? Fixed : run_time_channels; }
    int32_t vertex(int32_t face, int k) const { return faces[3 * int64_t(face) + k]; }
    const T* row(int32_t face, int k) const { return values + int64_t(vertex(face, k)) * channels(); }

    // Interpolates `count` pixels; bary and out point to the first.
    void blend(int32_t face, int count, const T* bary, T* out) const {
        const T *v0 = row(face, 0), *v1 = row(face, 1), *v2 = row(face, 2);
        const int C = channels();
        for (int i = 0; i < count; ++i, bary += 3, out += C)
            for (int c = 0; c < C; ++c) out[c] = bary[0] * v0[c] + bary[1] * v1[c] + bary[2] * v2[c];
    }

    void to_bary(int32_t face, int count, const T* grad_image, T* grad_bary) const {
        const T* v[3] = {row(face, 0), row(face, 1), row(face, 2)};
        const int C = channels();
        for (int i = 0; i < count; ++i, grad_bary += 3, grad_image += C)
            for (int k = 0; k < 3; ++k) {
                T total = 0;
                for (int c = 0; c < C; ++c) total += grad_image[c] * v[k][c];
                grad_bary[k] = total;
            }
    }

    void to_attributes(int32_t face, int count, const T* bary, const T* grad_image, BandSums& sums) const {
        const int C = channels();
        double local[3][Fixed > 0 ? Fixed : 1] = {};
        for (int i = 0; i < count; ++i, bary += 3, grad_image += C)
            for (int k = 0; k < 3; ++k) {
                double* sum = Fixed > 0 ? local[k] : sums.at(vertex(face, k));
                for (int c = 0; c < C; ++c) sum[c] += double(bary[k] * grad_image[c]);
            }
        if (Fixed > 0)
            for (int k = 0; k < 3; ++k) {
                double* sum = sums.at(vertex(face, k));
                for (int c = 0; c < C; ++c) sum[c] += local[k][c];
            }
    }
};

}  // namespace

template <class T>
void interpolate(const Scene<T>& scene, const Attributes<T>& attributes, const T* bary, T* image, int threads) {
    constexpr int kRows = 8;
    check_faces(scene);
    const Sizes& sizes = scene.sizes;
    const int channels = attributes.channels;
    const int64_t rows = sizes.images * sizes.height;
    with_channels(channels, [&](auto fixed) {
        parallel_for((rows + kRows - 1) / kRows, threads, [&](int64_t block) {
            for (int64_t row = block * kRows; row < std::min((block + 1) * kRows, rows); ++row) {
                const int64_t first = row * sizes.width;
                const T* of_image = attributes.of_image(row / sizes.height, sizes.vertices);
                const FaceAttributes<T, fixed()> values{of_image, channels, scene.faces};
                for_each_run(scene.index_img + first, sizes, [&](int32_t face, int x0, int x1) {
                    T* out = image + (first + x0) * channels;
                    if (face < 0)
                        std::fill(out, out + int64_t(x1 - x0) * channels, T(0));
                    else
                        values.blend(face, x1 - x0, bary + 3 * (first + x0), out);
                });
            }
        });
    });
}

template <class T>
void interpolate_backward(const Scene<T>& scene, const Attributes<T>& attributes, const T* bary, const T* grad_image,
                          T* grad_attributes, T* grad_bary, int threads) {
    check_faces(scene);
    const Sizes& sizes = scene.sizes;
    const int channels = attributes.channels;
    with_channels(channels, [&](auto fixed) {
        const auto band = [&](int64_t b, int y0, int y1, BandSums& sums) {
            const FaceAttributes<T, fixed()> values{attributes.of_image(b, sizes.vertices), channels, scene.faces};
            for (int y = y0; y < y1; ++y) {
                const int64_t first = (b * sizes.height + y) * sizes.width;
                for_each_run(scene.index_img + first, sizes, [&](int32_t face, int x0, int x1) {
                    const int64_t pixel = first + x0;
                    if (face < 0) {
                        if (grad_bary) std::fill(grad_bary + 3 * pixel, grad_bary + 3 * (first + x1), T(0));
                        return;
                    }
                    const T* g = grad_image + pixel * channels;
                    if (grad_bary) values.to_bary(face, x1 - x0, g, grad_bary + 3 * pixel);
                    if (grad_attributes) values.to_attributes(face, x1 - x0, bary + 3 * pixel, g, sums);
                });
            }
        };
        const SumSizes sums{sizes.images, sizes.vertices, channels, attributes.shared};
        sum_over_bands(sums, sizes.height, grad_attributes, threads, band);
    });
}

#define HEADFIT_INSTANTIATE(T)                                                                          \
    template void interpolate<T>(const Scene<T>&, const Attributes<T>&, const T*, T*, int);             \
    template void interpolate_backward<T>(const Scene<T>&, const Attributes<T>&, const T*, const T*, T*, T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
