#include "core/triangle.h"
#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "cpu/runs.h"
#include "cpu/vertex_sums.h"

namespace headfit {
namespace {

// Adds the gradients of one row of pixels; index, grad_bary and grad_depth point to its first pixel.
template <class T>
HEADFIT_INLINE void add_row(const Sizes& sizes, const Mesh<double, T>& mesh, int y, const int32_t* index,
                            const T* grad_bary, const T* grad_depth, BandSums& sums) {
    using V = FourLanes<double>;
    for_each_run(index, sizes, [&](int32_t face, int x0, int x1) {
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

HEADFIT_CLONES void add_row_clones(const Sizes& sizes, const Mesh<double, float>& mesh, int y, const int32_t* index,
                                   const float* grad_bary, const float* grad_depth, BandSums& sums) {
    add_row(sizes, mesh, y, index, grad_bary, grad_depth, sums);
}

HEADFIT_CLONES void add_row_clones(const Sizes& sizes, const Mesh<double, double>& mesh, int y, const int32_t* index,
                                   const double* grad_bary, const double* grad_depth, BandSums& sums) {
    add_row(sizes, mesh, y, index, grad_bary, grad_depth, sums);
}

}  // namespace

template <class T>
void rasterize_backward(const Scene<T>& scene, const T* grad_bary, const T* grad_depth, T* grad_v, int threads) {
    check_faces(scene);
    const Sizes& sizes = scene.sizes;
    const auto band = [&](int64_t b, int y0, int y1, BandSums& sums) {
        const auto mesh = scene.template mesh<double>(b);
        check_rows(sizes, scene.index_img + b * sizes.pixels() + int64_t(y0) * sizes.width, y1 - y0);
        for (int y = y0; y < y1; ++y) {
            const int64_t row = b * sizes.pixels() + int64_t(y) * sizes.width;
            add_row_clones(sizes, mesh, y, scene.index_img + row, grad_bary + 3 * row, grad_depth + row, sums);
        }
    };
    sum_over_bands(SumSizes{sizes.images, sizes.vertices, 3, false}, sizes.height, grad_v, threads, band);
}

#define HEADFIT_INSTANTIATE(T) \
    template void rasterize_backward<T>(const Scene<T>&, const T*, const T*, T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
