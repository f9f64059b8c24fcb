#include "core/triangle.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "cpu/runs.h"
#include "cpu/vertex_sums.h"

namespace headfit {
namespace {

// One row of each image.
template <class T>
HEADFIT_INLINE void add_row(const Shape& shape, const Mesh<double, T>& mesh, int y, const int32_t* index,
                            const T* grad_bary, const T* grad_depth, BandSums& sums) {
    using V = FourLanes<double>;
    for_each_run(index, shape, [&](int32_t face, int x0, int x1) {
        if (face < 0) return;
        const int32_t id[3] = {mesh.vertex_id(face, 0), mesh.vertex_id(face, 1), mesh.vertex_id(face, 2)};
        BaryDepthBackward<V> run(Corners<V>(mesh, id), {x0 + 0.5, y + 0.5});
        for (int x = x0; x < x1; ++x) run.add_pixel(x - x0, grad_bary + 3 * x, double(grad_depth[x]));
        V gx, gy, gz;
        run.vertices(gx, gy, gz);
        for (int k = 0; k < 3; ++k) {
            double* sum = sums.at(id[k]);
            sum[0] += gx[k];
            sum[1] += gy[k];
            sum[2] += gz[k];
        }
    });
}

HEADFIT_CLONES void add_row_clones(const Shape& shape, const Mesh<double, float>& mesh, int y, const int32_t* index,
                                   const float* grad_bary, const float* grad_depth, BandSums& sums) {
    add_row(shape, mesh, y, index, grad_bary, grad_depth, sums);
}

HEADFIT_CLONES void add_row_clones(const Shape& shape, const Mesh<double, double>& mesh, int y, const int32_t* index,
                                   const double* grad_bary, const double* grad_depth, BandSums& sums) {
    add_row(shape, mesh, y, index, grad_bary, grad_depth, sums);
}

}  // namespace

template <class T>
void rasterize_backward(const Shape& shape, const T* v_pix, const int32_t* faces, const int32_t* index_img,
                        const T* grad_bary, const T* grad_depth, T* grad_v, int threads) {
    check_faces(shape, faces);
    const auto band = [&](int64_t b, int y0, int y1, BandSums& sums) {
        const Mesh<double, T> mesh{v_pix + 3 * b * shape.vertices, faces};
        const int64_t first = b * shape.height * shape.width;
        for (int y = y0; y < y1; ++y) {
            const int64_t row = first + int64_t(y) * shape.width;
            add_row_clones(shape, mesh, y, index_img + row, grad_bary + 3 * row, grad_depth + row, sums);
        }
    };
    sum_over_bands(SumShape{shape.images, shape.vertices, 3, false}, shape.height, grad_v, threads, band);
}

#define HEADFIT_INSTANTIATE(T)                                                                                      \
    template void rasterize_backward<T>(const Shape&, const T*, const int32_t*, const int32_t*, const T*, const T*, \
                                        T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
