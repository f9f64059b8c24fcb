#include "core/gloss.h"

#include <vector>

#include "cpu/cpu.h"
#include "cpu/parallel.h"

namespace headfit {

template <class T>
void gloss(const GlossyView<T>& view, T* out, int threads) {
    parallel_for(view.images * view.parts(), threads, [&](int64_t i) {
        const int64_t image = i / view.parts(), part = i % view.parts();
        for (int64_t v = part * kGlossPart; v < view.end(part); ++v)
            out[image * view.vertices + v] = gloss_of(view, image, v);
    });
}

template <class T>
void gloss_backward(const GlossyView<T>& view, const T* grad, const GlossGradients<T>& out, int threads) {
    parallel_for(view.images * view.parts(), threads, [&](int64_t i) {
        const int64_t image = i / view.parts(), part = i % view.parts();
        std::vector<FormSums<T>> sums(view.kinds);
        for (int64_t v = part * kGlossPart; v < view.end(part); ++v) {
            const int64_t row = image * view.vertices + v;
            if (!view.glossy(v)) {
                store(out.positions, row, Vec3<T>{0, 0, 0});
                store(out.normals, row, Vec3<T>{0, 0, 0});
                continue;
            }
            const Mirror<T> at(view, image, v);
            gloss_backward(view, at, image, v, grad[row], out);
            sums[view.kind[v]].add(at.of, grad[row]);
        }
        for (int64_t kind = 0; kind < view.kinds; ++kind)
            sums[kind].write(out.forms + kHarmonics * kHarmonics * (i * view.kinds + kind));
    });
}

#define HEADFIT_INSTANTIATE(T)                                   \
    template void gloss<T>(const GlossyView<T>&, T*, int);       \
    template void gloss_backward<T>(const GlossyView<T>&, const T*, const GlossGradients<T>&, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
