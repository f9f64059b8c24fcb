#include "core/normals.h"

#include <algorithm>
#include <atomic>

#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/parallel.h"

namespace headfit {
namespace {

constexpr int64_t kVertices = 1024;  // of one image, that a worker takes at once

void check(const OppositeEdges& opposite) {
    const int32_t *first = opposite.first, *last = first + opposite.vertices;
    if (*first != 0 || *last != opposite.count || !std::is_sorted(first, last + 1) ||
        !all_between(opposite.edges, 2 * opposite.count, 0, opposite.vertices - 1))
        throw std::invalid_argument("opposite: these are not the edges opposite " +
                                    std::to_string(opposite.vertices) + " vertices");
}

// Calls work(image, vertex) of some vertices: number i of the portions of all images.
template <class Work>
auto portion(int64_t vertices, const Work& work) {
    return [vertices, &work](int64_t i) {
        const int64_t per_image = (vertices + kVertices - 1) / kVertices;
        const int64_t image = i / per_image, first = i % per_image * kVertices;
        for (int64_t v = first; v < std::min(first + kVertices, vertices); ++v) work(image, v);
    };
}

}  // namespace

template <class T>
void vertex_normals(int64_t images, const OppositeEdges& opposite, const T* vertices, const Normals<T>& out,
                    int threads) {
    check(opposite);
    const auto normal = [&](int64_t image, int64_t v) { vertex_normal(opposite, vertices, image, v, out); };
    const int64_t portions = images * ((opposite.vertices + kVertices - 1) / kVertices);
    parallel_for(portions, threads, portion(opposite.vertices, normal));
}

template <class T>
void vertex_normals_backward(int64_t images, const OppositeEdges& opposite, const T* vertices,
                             const Normals<const T>& known, const T* grad_normals, T* grad_sums, T* grad_vertices,
                             int threads) {
    check(opposite);
    const int64_t count = opposite.vertices;
    const auto of_sum = [&](int64_t image, int64_t v) {
        store(grad_sums, image * count + v, gradient_of_sum(known, grad_normals, image * count + v));
    };
    const auto of_vertex = [&](int64_t image, int64_t v) {
        store(grad_vertices, image * count + v, gradient_of_vertex<T>(opposite, vertices, grad_sums, image, v));
    };
    const int64_t portions = images * ((count + kVertices - 1) / kVertices);
    std::atomic<int64_t> next{0}, next_vertices{0};
    const auto sums = portion(count, of_sum), gather = portion(count, of_vertex);
    run_workers(int(std::min<int64_t>(portions, threads)), each(portions, next, sums),
                each(portions, next_vertices, gather));
}

#define HEADFIT_INSTANTIATE(T)                                                                               \
    template void vertex_normals<T>(int64_t, const OppositeEdges&, const T*, const Normals<T>&, int);        \
    template void vertex_normals_backward<T>(int64_t, const OppositeEdges&, const T*, const Normals<const T>&, \
                                             const T*, T*, T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
