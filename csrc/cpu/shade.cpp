#include <algorithm>
#include <type_traits>

#include "core/shade.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "cpu/parallel.h"
#include "cpu/zeros.h"

namespace headfit {
namespace {

constexpr int kBatch = 64;  // pixels that are processed together

// Some pixels of one row that are shaded: an array for each of their numbers, so that loops over them vectorise. What
// is beyond `count` is left from earlier pixels.
template <class T>
struct Batch {
    int count;
    int at[kBatch];  // columns
    T albedo[3][kBatch], normal[3][kBatch], gloss[kBatch], light[3][kBatch];

    HEADFIT_INLINE Vec3<T> normal_of(int i) const { return {normal[0][i], normal[1][i], normal[2][i]}; }
    HEADFIT_INLINE int rounded_up() const { return (count + kLanes - 1) / kLanes * kLanes; }
};

// What the pixels of a batch pass on.
template <class T>
struct BatchGradients {
    T colour[3][kBatch];
    T albedo[3][kBatch], normal[3][kBatch], gloss[kBatch], light[3][kBatch], gain[3][kBatch];
    T harmonics[kHarmonics][kBatch];
};

template <class T, int Channels>
HEADFIT_INLINE void gather(const Batch<T>& batch, const T* row, int stride, T (*out)[kBatch],
                           std::integral_constant<int, Channels>) {
    for (int i = 0; i < batch.count; ++i)
        for (int c = 0; c < Channels; ++c) out[c][i] = row[int64_t(batch.at[i]) * stride + c];
}

template <class T, int Channels>
HEADFIT_INLINE void scatter(const Batch<T>& batch, const T (*from)[kBatch], int stride, T* row,
                            std::integral_constant<int, Channels>) {
    for (int i = 0; i < batch.count; ++i)
        for (int c = 0; c < Channels; ++c) row[int64_t(batch.at[i]) * stride + c] = from[c][i];
}

constexpr std::integral_constant<int, 1> kOne;
constexpr std::integral_constant<int, 3> kThree;

// Calls work(batch) for the pixels of a row that are shaded, with their albedo, normal and gloss.
template <class T, class Work>
HEADFIT_INLINE void for_each_batch(const ShadedView<T>& view, int64_t first, Batch<T>& batch, const Work& work) {
    for (int x = 0; x < view.sizes.width;) {
        batch.count = 0;
        for (; x < view.sizes.width && batch.count < kBatch; ++x)
            if (view.index_img[first + x] >= 0) batch.at[batch.count++] = x;
        gather(batch, view.albedo + 3 * first, 3, batch.albedo, kThree);
        gather(batch, view.surface + 4 * first, 4, batch.normal, kThree);
        gather(batch, view.surface + 4 * first + 3, 4, &batch.gloss, kOne);
        work(batch);
    }
}

template <class T>
HEADFIT_INLINE void shade_row(const ShadedView<T>& view, const T* light_of_image, const T* gain, int64_t first,
                              T* image) {
    T light[3 * kHarmonics];
    std::copy(light_of_image, light_of_image + 3 * kHarmonics, light);
    Batch<T> batch = {};
    std::fill(image + 3 * first, image + 3 * (first + view.sizes.width), T(0));
    for_each_batch(view, first, batch, [&](Batch<T>& b) {
        T colour[3][kBatch];
        const int count = b.rounded_up();
        for (int i = 0; i < count; ++i) {
            const Harmonics<T> h = harmonics(unit_normal(b.normal_of(i)).n);
            for (int c = 0; c < 3; ++c)
                colour[c][i] = shaded(b.albedo[c][i], received(h, light + c), b.gloss[i], gain[c]);
        }
        scatter(b, colour, 3, image + 3 * first, kThree);
    });
}

// The sum of products over a batch, or of `a` alone if b is null. Lanes are added in a fixed order.
template <class T>
HEADFIT_INLINE T sum_of_products(int count, const T* a, const T* b) {
    T lanes[kLanes] = {};
    for (int i = 0; i < count; i += kLanes)
        for (int l = 0; l < kLanes; ++l) lanes[l] += b ? a[i + l] * b[i + l] : a[i + l];
    return ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) + ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
}

template <class T>
HEADFIT_INLINE void add_sums(int padded, const BatchGradients<T>& g, double* sums) {
    for (int k = 0; k < kHarmonics; ++k)
        for (int c = 0; c < 3; ++c) sums[3 * k + c] += double(sum_of_products(padded, g.light[c], g.harmonics[k]));
    for (int c = 0; c < 3; ++c)
        sums[3 * kHarmonics + c] += double(sum_of_products<T>(padded, g.gain[c], nullptr));
}

// `still`, of the row, may be null; sums: [kShadeSums], or null.
template <class T>
HEADFIT_INLINE void shade_row_backward(const ShadedView<T>& view, const T* light_of_image, const T* gain, int64_t first,
                                       const bool* still, const T* grad_image, const ShadeGradients<T>& out,
                                       double* sums) {
    T light[3 * kHarmonics];
    std::copy(light_of_image, light_of_image + 3 * kHarmonics, light);
    Batch<T> batch = {};
    BatchGradients<T> g = {};
    const int64_t last = first + view.sizes.width;
    if (out.albedo) std::fill(out.albedo + 3 * first, out.albedo + 3 * last, T(0));
    if (out.surface) std::fill(out.surface + 4 * first, out.surface + 4 * last, T(0));
    for_each_batch(view, first, batch, [&](Batch<T>& b) {
        const int count = b.rounded_up();
        gather(b, grad_image + 3 * first, 3, g.colour, kThree);
        for (int c = 0; c < 3; ++c) std::fill(g.colour[c] + b.count, g.colour[c] + count, T(0));
        for (int i = 0; i < count; ++i) {
            const UnitNormal<T> unit = unit_normal(b.normal_of(i));
            const Harmonics<T> h = harmonics(unit.n);
            for (int k = 0; k < kHarmonics; ++k) g.harmonics[k][i] = h.h[k];
            T gloss = 0;
            for (int c = 0; c < 3; ++c) {
                const auto of =
                    shaded_backward(b.albedo[c][i], received(h, light + c), b.gloss[i], gain[c], g.colour[c][i]);
                g.albedo[c][i] = of.albedo;
                g.light[c][i] = of.light;
                g.gain[c][i] = of.gain;
                gloss += of.gloss;
            }
            g.gloss[i] = gloss;
            const Vec3<T> turned =
                to_normal(unit, to_unit_normal(unit.n, light, {g.light[0][i], g.light[1][i], g.light[2][i]}));
            g.normal[0][i] = turned.x;
            g.normal[1][i] = turned.y;
            g.normal[2][i] = turned.z;
        }
        if (out.albedo) scatter(b, g.albedo, 3, out.albedo + 3 * first, kThree);
        if (sums) add_sums(count, g, sums);
        if (!out.surface) return;
        for (int i = 0; still && i < b.count; ++i)
            if (still[b.at[i]]) g.normal[0][i] = g.normal[1][i] = g.normal[2][i] = g.gloss[i] = T(0);
        scatter(b, g.normal, 4, out.surface + 4 * first, kThree);
        scatter(b, &g.gloss, 4, out.surface + 4 * first + 3, kOne);
    });
}

#define HEADFIT_CLONES_OF_ROWS(T)                                                                                     \
    HEADFIT_CLONES void shade_row_clones(const ShadedView<T>& view, const T* light, const T* gain, int64_t first,    \
                                         T* image) {                                                                 \
        shade_row(view, light, gain, first, image);                                                                  \
    }                                                                                                                \
    HEADFIT_CLONES void shade_row_backward_clones(const ShadedView<T>& view, const T* light, const T* gain,          \
                                                  int64_t first, const bool* still, const T* grad_image,             \
                                                  const ShadeGradients<T>& out, double* sums) {                      \
        shade_row_backward(view, light, gain, first, still, grad_image, out, sums);                                  \
    }
HEADFIT_CLONES_OF_ROWS(float)
HEADFIT_CLONES_OF_ROWS(double)
#undef HEADFIT_CLONES_OF_ROWS

}  // namespace

template <class T>
void shade(const ShadedView<T>& view, T* image, int threads) {
    const Sizes& sizes = view.sizes;
    parallel_for(sizes.images * sizes.height, threads, [&](int64_t row) {
        const int64_t b = row / sizes.height;
        shade_row_clones(view, view.light + 3 * kHarmonics * b, view.gain + 3 * b, row * sizes.width, image);
    });
}

// Each row has its own sums, which are then added in order: they do not depend on the number of threads.
template <class T>
void shade_backward(const ShadedView<T>& view, const bool* still, const T* grad_image, const ShadeGradients<T>& out,
                    int threads) {
    const Sizes& sizes = view.sizes;
    const int64_t rows = sizes.images * sizes.height;
    const Zeros<double> of_rows = zeros<double>(out.sums ? rows * kShadeSums : 0);
    parallel_for(rows, threads, [&](int64_t row) {
        const int64_t b = row / sizes.height, first = row * sizes.width;
        shade_row_backward_clones(view, view.light + 3 * kHarmonics * b, view.gain + 3 * b, first,
                                  still ? still + first : nullptr, grad_image, out,
                                  out.sums ? &of_rows[row * kShadeSums] : nullptr);
    });
    for (int64_t i = 0; out.sums && i < sizes.images * kShadeSums; ++i) {
        const double* of_image = &of_rows[i / kShadeSums * sizes.height * kShadeSums + i % kShadeSums];
        double total = 0;
        for (int y = 0; y < sizes.height; ++y) total += of_image[int64_t(y) * kShadeSums];
        out.sums[i] = T(total);
    }
}

#define HEADFIT_INSTANTIATE(T)                                                             \
    template void shade<T>(const ShadedView<T>&, T*, int);                                 \
    template void shade_backward<T>(const ShadedView<T>&, const bool*, const T*,           \
                                    const ShadeGradients<T>&, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
