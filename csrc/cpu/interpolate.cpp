#include "core/mesh.h"
#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/parallel.h"
#include "cpu/vertex_sums.h"

namespace headfit {
namespace {

// Rows of the three vertices of a face in an array [V,C].
template <class T>
struct FaceRows {
    const T* row[3];

    FaceRows(const T* values, int channels, const int32_t* faces, int32_t face) {
        for (int k = 0; k < 3; ++k) row[k] = values + int64_t(faces[3 * int64_t(face) + k]) * channels;
    }
};

}  // namespace

template <class T>
void interpolate(const Shape& shape, int channels, bool shared, const T* attributes, const int32_t* faces,
                 const int32_t* index_img, const T* bary, T* image, int threads) {
    check_faces(shape, faces);
    check_index_img(shape, index_img);
    parallel_for(shape.images * shape.height, threads, [&](int64_t line) {
        const int64_t b = line / shape.height;
        const T* values = attributes + (shared ? 0 : b * shape.vertices * channels);
        for (int64_t pixel = line * shape.width; pixel < (line + 1) * shape.width; ++pixel) {
            T* out = image + pixel * channels;
            const int32_t face = index_img[pixel];
            if (face < 0) {
                for (int c = 0; c < channels; ++c) out[c] = 0;
                continue;
            }
            const FaceRows<T> v(values, channels, faces, face);
            const T* b3 = bary + 3 * pixel;
            for (int c = 0; c < channels; ++c)
                out[c] = b3[0] * v.row[0][c] + b3[1] * v.row[1][c] + b3[2] * v.row[2][c];
        }
    });
}

template <class T>
void interpolate_backward(const Shape& shape, int channels, bool shared, const T* attributes, const int32_t* faces,
                          const int32_t* index_img, const T* bary, const T* grad_image, T* grad_attributes,
                          T* grad_bary, int threads) {
    check_faces(shape, faces);
    check_index_img(shape, index_img);
    VertexSums sums(grad_attributes ? shape.vertices : 0, channels, threads);
    for (int64_t b = 0; b < shape.images; ++b) {
        const T* values = attributes + (shared ? 0 : b * shape.vertices * channels);
        sums.add_rows(shape.height, [&](int y, double* sum) {
            for (int x = 0; x < shape.width; ++x) {
                const int64_t pixel = (b * shape.height + y) * shape.width + x;
                const int32_t face = index_img[pixel];
                const T* g = grad_image + pixel * channels;
                for (int k = 0; k < 3; ++k) {
                    if (grad_bary) grad_bary[3 * pixel + k] = 0;
                    if (face < 0) continue;
                    const int64_t row = int64_t(faces[3 * int64_t(face) + k]) * channels;
                    if (grad_bary) {
                        T total = 0;
                        for (int c = 0; c < channels; ++c) total += g[c] * values[row + c];
                        grad_bary[3 * pixel + k] = total;
                    }
                    if (grad_attributes) {
                        const T weight = bary[3 * pixel + k];
                        for (int c = 0; c < channels; ++c) sum[row + c] += double(weight * g[c]);
                    }
                }
            }
        });
        if (grad_attributes && !shared) sums.move_to(grad_attributes + b * shape.vertices * channels);
    }
    if (grad_attributes && shared) sums.move_to(grad_attributes);
}

#define HEADFIT_INSTANTIATE(T)                                                                                      \
    template void interpolate<T>(const Shape&, int, bool, const T*, const int32_t*, const int32_t*, const T*, T*,    \
                                 int);                                                                              \
    template void interpolate_backward<T>(const Shape&, int, bool, const T*, const int32_t*, const int32_t*,         \
                                          const T*, const T*, T*, T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
