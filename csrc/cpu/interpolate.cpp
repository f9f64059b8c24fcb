#include <algorithm>

#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "cpu/runs.h"
#include "cpu/vertex_sums.h"

namespace headfit {
namespace {

// One image's attributes [V,C], with C known at compile time, or at run time if Fixed is 0. Three channels, which
// colours and normals have, fit in a vector register: it computes the same sums in the same order.
template <class T, int Fixed>
struct FaceAttributes {
    using V = FourLanes<T>;
    using Sum = FourLanes<double>;

    const T* values;
    int run_time_channels;
    const int32_t* faces;

    HEADFIT_INLINE int channels() const { return Fixed > 0 ? Fixed : run_time_channels; }
    HEADFIT_INLINE int32_t vertex(int32_t face, int k) const { return faces[3 * int64_t(face) + k]; }
    HEADFIT_INLINE const T* row(int32_t face, int k) const { return values + int64_t(vertex(face, k)) * channels(); }

    // Interpolates `count` pixels; bary and out point to the first.
    HEADFIT_INLINE void blend(int32_t face, int count, const T* bary, T* out) const {
        const T *v0 = row(face, 0), *v1 = row(face, 1), *v2 = row(face, 2);
        const int C = channels();
        if constexpr (Fixed == 3) {
            const V a = three_lanes(v0), b = three_lanes(v1), c = three_lanes(v2);
            for (int i = 0; i < count; ++i, bary += 3, out += 3)
                store_three(V(bary[0]) * a + V(bary[1]) * b + V(bary[2]) * c, i + 1 < count, out);
        } else {
            for (int i = 0; i < count; ++i, bary += 3, out += C)
                for (int c = 0; c < C; ++c) out[c] = bary[0] * v0[c] + bary[1] * v1[c] + bary[2] * v2[c];
        }
    }

    HEADFIT_INLINE void to_bary(int32_t face, int count, const T* grad_image, T* grad_bary) const {
        const T *v0 = row(face, 0), *v1 = row(face, 1), *v2 = row(face, 2);
        const int C = channels();
        V corners[Fixed > 0 ? Fixed : 1];  // what is stored might be what is read, so not even a compiler could keep them
        for (int c = 0; c < Fixed; ++c) corners[c] = V(v0[c], v1[c], v2[c]);
        for (int i = 0; i < count; ++i, grad_bary += 3, grad_image += C) {
            V total(T(0));
            for (int c = 0; c < C; ++c)
                total = total + V(grad_image[c]) * (Fixed > 0 ? corners[c] : V(v0[c], v1[c], v2[c]));
            store_three(total, i + 1 < count, grad_bary);
        }
    }

    HEADFIT_INLINE void to_attributes(int32_t face, int count, const T* bary, const T* grad_image,
                                      BandSums& sums) const {
        const int C = channels();
        if constexpr (Fixed == 3) {
            Sum local[3] = {Sum(0.0), Sum(0.0), Sum(0.0)};
            for (int i = 0; i < count; ++i, bary += 3, grad_image += 3) {
                const V g = three_lanes(grad_image);
                for (int k = 0; k < 3; ++k) local[k] = local[k] + in_double(V(bary[k]) * g);
            }
            for (int k = 0; k < 3; ++k) {
                double* sum = sums.at(vertex(face, k));
                for (int c = 0; c < 3; ++c) sum[c] += local[k][c];
            }
        } else {
            double local[3][Fixed > 0 ? Fixed : 1] = {};
            for (int i = 0; i < count; ++i, bary += 3, grad_image += C)
                for (int k = 0; k < 3; ++k) {
                    double* sum = Fixed > 0 ? local[k] : sums.at(vertex(face, k));
                    for (int c = 0; c < C; ++c) sum[c] += double(bary[k] * grad_image[c]);
                }
            for (int k = 0; Fixed > 0 && k < 3; ++k) {
                double* sum = sums.at(vertex(face, k));
                for (int c = 0; c < C; ++c) sum[c] += local[k][c];
            }
        }
    }
};

// The arrays of an image at the first pixel of a row; what is not needed is null.
template <class T>
struct Row {
    const int32_t* index;
    const T *bary, *background;
    T* image;
};

template <class T>
struct RowBackward {
    const int32_t* index;
    const T *bary, *grad_image;
    InterpolationGradients<T> out;  // attributes: whether they are needed
};

template <class T, int Fixed>
HEADFIT_INLINE void blend_row(const Sizes& sizes, const FaceAttributes<T, Fixed>& values, const Row<T>& row) {
    const int64_t C = values.channels();
    for_each_run(row.index, sizes, [&](int32_t face, int x0, int x1) {
        T* out = row.image + x0 * C;
        if (face >= 0)
            values.blend(face, x1 - x0, row.bary + 3 * x0, out);
        else if (row.background)
            std::copy(row.background + x0 * C, row.background + x1 * C, out);
        else
            std::fill(out, out + (x1 - x0) * C, T(0));
    });
}

template <class T, int Fixed>
HEADFIT_INLINE void add_row(const Sizes& sizes, const FaceAttributes<T, Fixed>& values, const RowBackward<T>& row,
                            BandSums& sums) {
    const int64_t C = values.channels();
    for_each_run(row.index, sizes, [&](int32_t face, int x0, int x1) {
        const T *g = row.grad_image + x0 * C, *end = row.grad_image + x1 * C;
        if (row.out.background) {
            T* background = row.out.background + x0 * C;
            if (face < 0)
                std::copy(g, end, background);
            else
                std::fill(background, background + (end - g), T(0));
        }
        if (face < 0) {
            if (row.out.bary) std::fill(row.out.bary + 3 * x0, row.out.bary + 3 * x1, T(0));
            return;
        }
        if (row.out.bary) values.to_bary(face, x1 - x0, g, row.out.bary + 3 * x0);
        if (row.out.attributes) values.to_attributes(face, x1 - x0, row.bary + 3 * x0, g, sums);
    });
}

#define HEADFIT_CLONES_OF_ROWS(T, Fixed)                                                                       \
    HEADFIT_CLONES void blend_row_clones(const Sizes& sizes, const FaceAttributes<T, Fixed>& values,           \
                                         const Row<T>& row) {                                                  \
        blend_row(sizes, values, row);                                                                         \
    }                                                                                                          \
    HEADFIT_CLONES void add_row_clones(const Sizes& sizes, const FaceAttributes<T, Fixed>& values,             \
                                       const RowBackward<T>& row, BandSums& sums) {                            \
        add_row(sizes, values, row, sums);                                                                     \
    }
HEADFIT_CLONES_OF_ROWS(float, 0)
HEADFIT_CLONES_OF_ROWS(float, 1)
HEADFIT_CLONES_OF_ROWS(float, 2)
HEADFIT_CLONES_OF_ROWS(float, 3)
HEADFIT_CLONES_OF_ROWS(float, 4)
HEADFIT_CLONES_OF_ROWS(double, 0)
HEADFIT_CLONES_OF_ROWS(double, 1)
HEADFIT_CLONES_OF_ROWS(double, 2)
HEADFIT_CLONES_OF_ROWS(double, 3)
HEADFIT_CLONES_OF_ROWS(double, 4)
#undef HEADFIT_CLONES_OF_ROWS

template <class T>
T* from(T* array, int64_t first) {
    return array ? array + first : nullptr;
}

}  // namespace

template <class T>
void interpolate(const Scene<T>& scene, const Attributes<T>& attributes, const T* bary, const T* background, T* image,
                 int threads) {
    constexpr int kRows = 8;
    check_faces(scene);
    const Sizes& sizes = scene.sizes;
    const int channels = attributes.channels;
    const int64_t rows = sizes.images * sizes.height;
    with_channels(channels, [&](auto fixed) {
        parallel_for((rows + kRows - 1) / kRows, threads, [&](int64_t block) {
            const int64_t end = std::min((block + 1) * kRows, rows);
            check_rows(sizes, scene.index_img + block * kRows * sizes.width, int(end - block * kRows));
            for (int64_t row = block * kRows; row < end; ++row) {
                const int64_t first = row * sizes.width;
                const T* of_image = attributes.of_image(row / sizes.height, sizes.vertices);
                blend_row_clones(sizes, FaceAttributes<T, fixed()>{of_image, channels, scene.faces},
                                 Row<T>{scene.index_img + first, bary + 3 * first, from(background, first * channels),
                                        image + first * channels});
            }
        });
    });
}

template <class T>
void interpolate_backward(const Scene<T>& scene, const Attributes<T>& attributes, const T* bary, const T* grad_image,
                          const InterpolationGradients<T>& out, int threads) {
    check_faces(scene);
    const Sizes& sizes = scene.sizes;
    const int channels = attributes.channels;
    with_channels(channels, [&](auto fixed) {
        const auto band = [&](int64_t b, int y0, int y1, BandSums& sums) {
            const FaceAttributes<T, fixed()> values{attributes.of_image(b, sizes.vertices), channels, scene.faces};
            check_rows(sizes, scene.index_img + (b * sizes.height + y0) * sizes.width, y1 - y0);
            for (int y = y0; y < y1; ++y) {
                const int64_t first = (b * sizes.height + y) * sizes.width;
                add_row_clones(
                    sizes, values,
                    RowBackward<T>{scene.index_img + first, bary + 3 * first, grad_image + first * channels,
                                   {out.attributes, from(out.bary, 3 * first), from(out.background, first * channels)}},
                    sums);
            }
        };
        const SumSizes sums{sizes.images, sizes.vertices, channels, attributes.shared};
        sum_over_bands(sums, sizes.height, out.attributes, threads, band);
    });
}

#define HEADFIT_INSTANTIATE(T)                                                                                     \
    template void interpolate<T>(const Scene<T>&, const Attributes<T>&, const T*, const T*, T*, int);              \
    template void interpolate_backward<T>(const Scene<T>&, const Attributes<T>&, const T*, const T*,               \
                                          const InterpolationGradients<T>&, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
