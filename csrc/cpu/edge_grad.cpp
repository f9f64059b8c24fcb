// One pass over the rows of pixels. A jump also uses the outer pixels next to its pair, unless there is another jump
// between. So for each row, first the boundaries between pixels that differ are found, then each jump adds its gradient
// to the vertices.
#include <algorithm>
#include <array>
#include <vector>

#include "core/pair.h"
#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/fast_walk.h"
#include "cpu/vertex_sums.h"

namespace headfit {
namespace {

struct JumpAt {
    int x, y;  // first pixel of the pair
    Boundary<double> boundary;
};

// The jumps of one row of pairs: (x, y) with (x + 1, y), or (x, y) with (x, y + 1).
struct JumpRow {
    std::vector<JumpAt> jumps;
    std::vector<uint8_t> here;  // [W] whether there is a jump in this column
    std::vector<int> columns;   // where there may be one
};

// Finds the columns of pairs that see different faces.
HEADFIT_INLINE void find_different(const int32_t* first, const int32_t* second, int count, std::vector<int>& columns) {
    constexpr int kBlock = 16;  // pairs compared at once, since most are equal
    columns.resize(count + kBlock);
    int found = 0;
    for (int begin = 0; begin < count; begin += kBlock) {
        const int end = begin + kBlock < count ? begin + kBlock : count;
        int32_t any = 0;
        for (int x = begin; x < end; ++x) any |= first[x] ^ second[x];
        if (any == 0) continue;
        for (int x = begin; x < end; ++x) {
            columns[found] = x;
            found += first[x] != second[x];
        }
    }
    columns.resize(found);
}

// Finds the columns of pairs that see different faces and may have a jump between them.
template <int axis, class T>
HEADFIT_INLINE void find_candidates(const RasterView<double, T>& view, const KnownEdges& edges, int y,
                                    std::vector<int>& columns) {
    const Surface<double, T>& surface = view.surface;
    const int32_t* first = view.index + int64_t(y) * view.width;
    const int32_t* second = first + (axis == 0 ? 1 : view.width);
    find_different(first, second, axis == 0 ? view.width - 1 : view.width, columns);
    size_t kept = 0;
    for (const int x : columns) {
        const int32_t a = first[x], b = second[x];
        columns[kept] = x;
        kept += !surely_one_surface<axis>(surface, edges, a, b, view.centre(x, y));
    }
    columns.resize(kept);
}

#define HEADFIT_CLONES_OF_FIND(axis, T)                                                                            \
    HEADFIT_CLONES void find_candidates_##axis(const RasterView<double, T>& view, const KnownEdges& edges, int y, \
                                               std::vector<int>& columns) {                                       \
        find_candidates<axis>(view, edges, y, columns);                                                           \
    }
HEADFIT_CLONES_OF_FIND(0, float)
HEADFIT_CLONES_OF_FIND(0, double)
HEADFIT_CLONES_OF_FIND(1, float)
HEADFIT_CLONES_OF_FIND(1, double)
#undef HEADFIT_CLONES_OF_FIND

template <class T>
struct Jumps {
    RasterView<double, T> view;
    const Sizes* sizes;
    const KnownEdges* edges;

    // Finds the jumps of a row; axis 0: pairs along x, 1: along y. A row outside the image has none.
    void find(int axis, int y, JumpRow& row) const {
        row.jumps.clear();
        row.here.assign(view.width, 0);
        if (y < 0 || y + axis >= view.height) return;
        const int32_t* first = view.index + int64_t(y) * view.width;
        const int32_t* second = first + (axis == 0 ? 1 : view.width);
        if (axis == 0)
            find_candidates_0(view, *edges, y, row.columns);
        else
            find_candidates_1(view, *edges, y, row.columns);
        for (const int x : row.columns) {
            const Vec2<double> A = view.centre(x, y), B = axis == 0 ? view.centre(x + 1, y) : view.centre(x, y + 1);
            const Boundary<double> boundary = find_boundary(view.surface, first[x], second[x], A, B);
            row.here[x] = boundary.jump != Jump::none;
            if (row.here[x]) row.jumps.push_back({x, y, boundary});
        }
    }
};

template <class T, class Loss>
void add_jump(const RasterView<double, T>& view, int64_t image, const PixelPair& pair, const Boundary<double>& boundary,
              const Loss& loss, BandSums& sums) {
    const double G = loss(image, view, pair, boundary);
    if (G == 0) return;
    const auto add = [&](int32_t vertex, int component, double value) { sums.at(vertex)[component] += value; };
    move_boundary(view.surface.mesh, boundary, centre(view, pair, 0), centre(view, pair, 1), pair.axis, G, add);
}

template <class T, class Loss>
void add_band(const Jumps<T>& jumps, int64_t image, int y0, int y1, const Loss& loss, BandSums& sums) {
    const int last_x = jumps.view.width - 1, last_y = jumps.view.height - 1;
    const int top = std::max(y0 - 1, 0), bottom = std::min(y1 + 2, jumps.view.height);
    check_rows(*jumps.sizes, jumps.view.index + int64_t(top) * jumps.view.width, bottom - top);
    JumpRow across;
    std::array<JumpRow, 3> down;  // pairs of the rows (y - 1, y), (y, y + 1), (y + 1, y + 2)
    const auto down_at = [&](int y) -> JumpRow& { return down[(y + 3) % 3]; };
    for (int y = y0 - 1; y <= y0; ++y) jumps.find(1, y, down_at(y));
    for (int y = y0; y < y1; ++y) {
        jumps.find(0, y, across);
        for (const auto& [x, _, boundary] : across.jumps) {
            const bool a = x > 0, b = x + 1 < last_x;
            const PixelPair pair{0, x, y, a, b, a && !across.here[x - 1], b && !across.here[x + 1]};
            add_jump(jumps.view, image, pair, boundary, loss, sums);
        }
        jumps.find(1, y + 1, down_at(y + 1));
        for (const auto& [x, _, boundary] : down_at(y).jumps) {
            const bool a = y > 0, b = y + 1 < last_y;
            const PixelPair pair{1, x, y, a, b, a && !down_at(y - 1).here[x], b && !down_at(y + 1).here[x]};
            add_jump(jumps.view, image, pair, boundary, loss, sums);
        }
    }
}

}  // namespace

template <class T, class Loss>
void edge_grad_backward(const Scene<T>& scene, const Loss& loss, T* grad_v, int threads) {
    check_faces(scene);
    check_adjacency(scene);
    const Sizes& sizes = scene.sizes;
    std::vector<KnownEdges> edges;
    for (int64_t image = 0; image < sizes.images; ++image) edges.emplace_back(sizes.faces);
    const auto band = [&](int64_t image, int y0, int y1, BandSums& sums) {
        add_band(Jumps<T>{scene.template view<double>(image), &sizes, &edges[image]}, image, y0, y1, loss, sums);
    };
    const int rows = sizes.width > 0 ? sizes.height : 0;
    sum_over_bands(SumSizes{sizes.images, sizes.vertices, 3, false}, rows, grad_v, threads, band);
}

#define HEADFIT_INSTANTIATE(T)                                                                      \
    template void edge_grad_backward<T>(const Scene<T>&, const LossByGradient<T>&, T*, int);        \
    template void edge_grad_backward<T>(const Scene<T>&, const LossByPenalty<T>&, T*, int);         \
    template void edge_grad_backward<T>(const Scene<T>&, const LossOfLabels<T>&, T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
