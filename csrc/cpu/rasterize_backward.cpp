#include "core/triangle.h"
#include "cpu/cpu.h"
#include "cpu/runs.h"
#include "cpu/vertex_sums.h"

namespace headfit {

template <class T>
void rasterize_backward(const Shape& shape, const T* v_pix, const int32_t* faces, const int32_t* index_img,
                        const T* grad_bary, const T* grad_depth, T* grad_v, int threads) {
    check_faces(shape, faces);
    const auto band = [&](int64_t b, int y0, int y1, BandSums& sums) {
        const Mesh<double, T> mesh{v_pix + 3 * b * shape.vertices, faces};
        for (int y = y0; y < y1; ++y) {
            const int64_t first = (b * shape.height + y) * shape.width;
            for_each_run(index_img + first, shape, [&](int32_t face, int x0, int x1) {
                if (face < 0) return;
                const Vec3<double> p[3] = {mesh.corner(face, 0), mesh.corner(face, 1), mesh.corner(face, 2)};
                BaryDepthBackward<double> run(p, {x0 + 0.5, y + 0.5});
                for (int x = x0; x < x1; ++x)
                    run.add_pixel(x - x0, grad_bary + 3 * (first + x), double(grad_depth[first + x]));
                Vec3<double> grad[3];
                run.vertices(grad);
                for (int k = 0; k < 3; ++k) {
                    double* sum = sums.at(mesh.vertex_id(face, k));
                    sum[0] += grad[k].x;
                    sum[1] += grad[k].y;
                    sum[2] += grad[k].z;
                }
            });
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
