// One pass over the rows of pixels. A jump looks at the pixels beyond its pair, which count as long as no other jump
// lies between: so first what lies between the pixels that differ, then what each jump gives to the vertices.
#include <array>
#include <vector>

#include "core/pair.h"
#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/leads_to.h"
#include "cpu/vertex_sums.h"

namespace headfit {
namespace {

struct JumpAt {
    int x, y;  // the first pixel of the pair
    Boundary<double> boundary;
};

// The jumps of one row of pairs: (x, y) with (x + 1, y), or (x, y) with (x, y + 1).
struct JumpRow {
    std::vector<JumpAt> jumps;
    std::vector<uint8_t> here;  // [W]
    std::vector<int> columns;  // where there may be one
};

// Finds the columns of pairs that see different faces.
HEADFIT_INLINE void find_different(const int32_t* first, const int32_t* second, int count, std::vector<int>& columns) {
    constexpr int kBlock = 16;  // compared at once, since most pairs are equal
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

// Finds the columns of pairs that see different faces, but for those between which there surely is no jump.
template <int axis, class T>
HEADFIT_INLINE void find_candidates(const View<double, T>& view, const Shape& shape, int y, std::vector<int>& columns) {
    const Surface<double, T>& surface = view.surface;
    const int32_t* first = view.index + int64_t(y) * view.width;
    const int32_t* second = first + (axis == 0 ? 1 : view.width);
    find_different(first, second, axis == 0 ? view.width - 1 : view.width, columns);
    size_t kept = 0;
    for (const int x : columns) {
        const int32_t a = first[x], b = second[x];
        check_face(shape, a);
        check_face(shape, b);
        columns[kept] = x;
        kept += !(a >= 0 && b >= 0 && surface.group[a] == surface.group[b] &&
                  (side_by_side(surface, a, b) || leads_to<axis>(surface, a, view.centre(x, y), b)));
    }
    columns.resize(kept);
}

#define HEADFIT_CLONES_OF_FIND(axis, T)                                                                 \
    HEADFIT_CLONES void find_candidates_##axis(const View<double, T>& view, const Shape& shape, int y,     \
                                               std::vector<int>& columns) {                             \
        find_candidates<axis>(view, shape, y, columns);                                                 \
    }
HEADFIT_CLONES_OF_FIND(0, float)
HEADFIT_CLONES_OF_FIND(0, double)
HEADFIT_CLONES_OF_FIND(1, float)
HEADFIT_CLONES_OF_FIND(1, double)
#undef HEADFIT_CLONES_OF_FIND

template <class T>
struct Jumps {
    View<double, T> view;
    const Shape* shape;

    // axis 0: pairs along x; 1: along y. A row outside the picture has none.
    void find(int axis, int y, JumpRow& row) const {
        row.jumps.clear();
        row.here.assign(view.width, 0);
        if (y < 0 || y + axis >= view.height) return;
        const int32_t* first = view.index + int64_t(y) * view.width;
        const int32_t* second = first + (axis == 0 ? 1 : view.width);
        if (axis == 0)
            find_candidates_0(view, *shape, y, row.columns);
        else
            find_candidates_1(view, *shape, y, row.columns);
        for (const int x : row.columns) {
            const Vec2<double> A = view.centre(x, y), B = axis == 0 ? view.centre(x + 1, y) : view.centre(x, y + 1);
            const Boundary<double> boundary = find_boundary(view.surface, first[x], second[x], A, B);
            row.here[x] = boundary.jump != Jump::none;
            if (row.here[x]) row.jumps.push_back({x, y, boundary});
        }
    }
};

template <class T, class Loss>
void add_jump(const View<double, T>& view, int64_t image, const Pair& pair, const Boundary<double>& boundary,
              const Loss& loss, BandSums& sums) {
    const double G = loss(image, view, pair, boundary);
    if (G == 0) return;
    const auto add = [&](int32_t vertex, int component, double value) { sums.at(vertex)[component] += value; };
    move_boundary(view.surface.mesh, boundary, centre(view, pair, 0), centre(view, pair, 1), pair.axis, G, add);
}

template <class T, class Loss>
void add_band(const Jumps<T>& jumps, int64_t image, int y0, int y1, const Loss& loss, BandSums& sums) {
    const int last_x = jumps.view.width - 1, last_y = jumps.view.height - 1;
    JumpRow across;
    std::array<JumpRow, 3> down;  // pairs of the rows (y - 1, y), (y, y + 1), (y + 1, y + 2)
    const auto down_at = [&](int y) -> JumpRow& { return down[(y + 3) % 3]; };
    for (int y = y0 - 1; y <= y0; ++y) jumps.find(1, y, down_at(y));
    for (int y = y0; y < y1; ++y) {
        jumps.find(0, y, across);
        for (const auto& [x, _, boundary] : across.jumps) {
            const bool a = x > 0, b = x + 1 < last_x;
            const Pair pair{0, x, y, a, b, a && !across.here[x - 1], b && !across.here[x + 1]};
            add_jump(jumps.view, image, pair, boundary, loss, sums);
        }
        jumps.find(1, y + 1, down_at(y + 1));
        for (const auto& [x, _, boundary] : down_at(y).jumps) {
            const bool a = y > 0, b = y + 1 < last_y;
            const Pair pair{1, x, y, a, b, a && !down_at(y - 1).here[x], b && !down_at(y + 1).here[x]};
            add_jump(jumps.view, image, pair, boundary, loss, sums);
        }
    }
}

template <class T, class Loss>
void add_images(const Shape& shape, const T* v_pix, const int32_t* faces, const int32_t* adjacency,
                const int32_t* group, const int32_t* index_img, T* grad_v, int threads, const Loss& loss) {
    check_faces(shape, faces);
    check_adjacency(shape, adjacency);
    const int64_t pixels = int64_t(shape.width) * shape.height;
    const SumShape sums{shape.images, shape.vertices, 3, false};
    sum_over_bands(sums, shape.width > 0 ? shape.height : 0, grad_v, threads,
                   [&](int64_t b, int y0, int y1, BandSums& band) {
                       const Mesh<double, T> mesh{v_pix + 3 * b * shape.vertices, faces};
                       const View<double, T> view{
                           {mesh, adjacency, group}, index_img + b * pixels, int32_t(shape.faces), shape.height, shape.width};
                       add_band(Jumps<T>{view, &shape}, b, y0, y1, loss, band);
                   });
}

}  // namespace

template <class T>
void edge_grad_backward(const Shape& shape, int channels, const T* grad_image, const T* image, const T* v_pix,
                        const int32_t* faces, const int32_t* adjacency, const int32_t* group, const int32_t* index_img,
                        T* grad_v, int threads) {
    const LossByGradient<T> loss{image, grad_image, channels};
    add_images(shape, v_pix, faces, adjacency, group, index_img, grad_v, threads, loss);
}

template <class T>
void pixel_loss_backward(const Shape& shape, int channels, Penalty penalty, double scale, const T* grad_loss,
                         const T* image, const T* target, const T* v_pix, const int32_t* faces,
                         const int32_t* adjacency, const int32_t* group, const int32_t* index_img, T* grad_v,
                         int threads) {
    const LossByPenalty<T> loss{image, target, grad_loss, channels, penalty, scale};
    add_images(shape, v_pix, faces, adjacency, group, index_img, grad_v, threads, loss);
}

#define HEADFIT_INSTANTIATE(T)                                                                                       \
    template void edge_grad_backward<T>(const Shape&, int, const T*, const T*, const T*, const int32_t*,             \
                                        const int32_t*, const int32_t*, const int32_t*, T*, int);                    \
    template void pixel_loss_backward<T>(const Shape&, int, Penalty, double, const T*, const T*, const T*, const T*, \
                                         const int32_t*, const int32_t*, const int32_t*, const int32_t*, T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
