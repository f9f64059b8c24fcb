// One pass over the rows of pixels. A jump looks at the pixels beyond its pair, which count as long as no other jump
// lies between: so first what lies between the pixels that differ, then what each jump gives to the vertices.
#include <array>
#include <vector>

#include "core/jump_loss.h"
#include "core/motion.h"
#include "cpu/check.h"
#include "cpu/cpu.h"
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
};

template <class T>
struct View {
    Surface<double, T> surface;
    const int32_t* index;  // [H,W]
    const Shape* shape;
    int width = shape->width, height = shape->height;

    Vec2<double> centre(int x, int y) const { return {x + 0.5, y + 0.5}; }
    int32_t face(int x, int y) const { return index[int64_t(y) * width + x]; }

    // axis 0: pairs along x; 1: along y. A row outside the picture has none.
    void find_jumps(int axis, int y, JumpRow& row) const {
        constexpr int kBlock = 16;  // compared at once, since most pairs are equal
        row.jumps.clear();
        row.here.assign(width, 0);
        if (y < 0 || y + axis >= height) return;
        const int32_t* first = index + int64_t(y) * width;
        const int32_t* second = first + (axis == 0 ? 1 : width);
        const int count = axis == 0 ? width - 1 : width;
        for (int begin = 0; begin < count; begin += kBlock) {
            const int end = begin + kBlock < count ? begin + kBlock : count;
            int32_t differs = 0;
            for (int x = begin; x < end; ++x) differs |= first[x] ^ second[x];
            for (int x = begin; differs && x < end; ++x) {
                if (first[x] == second[x]) continue;
                check_face(*shape, first[x]);
                check_face(*shape, second[x]);
                const Vec2<double> A = centre(x, y), B = axis == 0 ? centre(x + 1, y) : centre(x, y + 1);
                const Boundary<double> boundary = find_boundary(surface, first[x], second[x], A, B);
                if (boundary.jump == Jump::none) continue;
                row.jumps.push_back({x, y, boundary});
                row.here[x] = 1;
            }
        }
    }
};

// A pair and the pixels beyond it; these are in the picture, and usable if they show the same surface.
struct Pair {
    int axis, x, y;
    bool a_inside, b_inside, a_usable, b_usable;

    int dx(int steps) const { return x + (axis == 0 ? steps : 0); }
    int dy(int steps) const { return y + (axis == 0 ? 0 : steps); }
};

// How far the colours of both sides are extrapolated, see BoundaryColours.
template <class T>
std::array<double, 2> reaches(const View<T>& view, const Pair& pair, const Boundary<double>& r, double most) {
    const auto centre = [&](int steps) { return view.centre(pair.dx(steps), pair.dy(steps)); };
    const auto face = [&](int steps) { return view.face(pair.dx(steps), pair.dy(steps)); };
    const Vec2<double> A = centre(0), B = centre(1), P = A + r.t * (B - A);
    std::array<double, 2> reach{r.t, 1 - r.t};
    if (r.jump == Jump::a_in_front && pair.a_usable)
        reach[0] = limb_reach(view.surface.mesh, r.a, P, face(0), A, face(-1), centre(-1), reach[0], most);
    if (r.jump == Jump::b_in_front && pair.b_usable)
        reach[1] = limb_reach(view.surface.mesh, r.b, P, face(1), B, face(2), centre(2), reach[1], most);
    return reach;
}

// [H,W,C]
template <class T>
FourPixels<T> four_pixels(const T* image, int channels, int width, const Pair& pair, bool outer_a, bool outer_b) {
    const int64_t step = int64_t(channels) * (pair.axis == 0 ? 1 : width);
    const T* a = image + (int64_t(pair.y) * width + pair.x) * channels;
    return {outer_a ? a - step : nullptr, a, a + step, outer_b ? a + 2 * step : nullptr};
}

template <class T, class LossOfJump>
void add_jump(const View<T>& view, const Pair& pair, const Boundary<double>& boundary, const LossOfJump& loss,
              BandSums& sums) {
    const double G = loss(view, pair, boundary);
    if (G == 0) return;
    const auto add = [&](int32_t vertex, int component, double value) { sums.at(vertex)[component] += value; };
    move_boundary(view.surface.mesh, boundary, view.centre(pair.x, pair.y), view.centre(pair.dx(1), pair.dy(1)),
                  pair.axis, G, add);
}

template <class T, class LossOfJump>
void add_band(const View<T>& view, int y0, int y1, const LossOfJump& loss, BandSums& sums) {
    const int last_x = view.width - 1, last_y = view.height - 1;
    JumpRow across;
    std::array<JumpRow, 3> down;  // pairs of the rows (y - 1, y), (y, y + 1), (y + 1, y + 2)
    const auto down_at = [&](int y) -> JumpRow& { return down[(y + 3) % 3]; };
    for (int y = y0 - 1; y <= y0; ++y) view.find_jumps(1, y, down_at(y));
    for (int y = y0; y < y1; ++y) {
        view.find_jumps(0, y, across);
        for (const auto& [x, _, boundary] : across.jumps) {
            const bool a = x > 0, b = x + 1 < last_x;
            const Pair pair{0, x, y, a, b, a && !across.here[x - 1], b && !across.here[x + 1]};
            add_jump(view, pair, boundary, loss, sums);
        }
        view.find_jumps(1, y + 1, down_at(y + 1));
        for (const auto& [x, _, boundary] : down_at(y).jumps) {
            const bool a = y > 0, b = y + 1 < last_y;
            const Pair pair{1, x, y, a, b, a && !down_at(y - 1).here[x], b && !down_at(y + 1).here[x]};
            add_jump(view, pair, boundary, loss, sums);
        }
    }
}

// loss_of(image) makes the function (view, pair, boundary) -> G of that image.
template <class T, class LossOf>
void add_images(const Shape& shape, const T* v_pix, const int32_t* faces, const int32_t* adjacency,
                const int32_t* group, const int32_t* index_img, T* grad_v, int threads, const LossOf& loss_of) {
    check_faces(shape, faces);
    check_adjacency(shape, adjacency);
    const int64_t pixels = int64_t(shape.width) * shape.height;
    const SumShape sums{shape.images, shape.vertices, 3, false};
    sum_over_bands(sums, shape.width > 0 ? shape.height : 0, grad_v, threads,
                   [&](int64_t b, int y0, int y1, BandSums& band) {
                       const Mesh<double, T> mesh{v_pix + 3 * b * shape.vertices, faces};
                       const View<T> view{{mesh, adjacency, group}, index_img + b * pixels, &shape};
                       add_band(view, y0, y1, loss_of(b), band);
                   });
}

}  // namespace

template <class T>
void edge_grad_backward(const Shape& shape, int channels, const T* grad_image, const T* image, const T* v_pix,
                        const int32_t* faces, const int32_t* adjacency, const int32_t* group, const int32_t* index_img,
                        T* grad_v, int threads) {
    constexpr double kMostReach = 2;
    const int64_t stride = int64_t(shape.width) * shape.height * channels;
    const auto loss_of = [&](int64_t b) {
        return [=](const View<T>& view, const Pair& pair, const Boundary<double>& boundary) {
            const auto [reach_a, reach_b] = reaches(view, pair, boundary, kMostReach);
            const auto pixels = [&](const T* x) {
                return four_pixels(x + b * stride, channels, view.width, pair, pair.a_usable, pair.b_usable);
            };
            return jump_loss_of_gradient<double, T>({pixels(image), reach_a, reach_b}, pixels(grad_image), channels,
                                                    pair.a_inside && pair.b_inside);
        };
    };
    add_images(shape, v_pix, faces, adjacency, group, index_img, grad_v, threads, loss_of);
}

template <class T>
void pixel_loss_backward(const Shape& shape, int channels, Penalty penalty, double scale, const T* grad_loss,
                         const T* image, const T* target, const T* v_pix, const int32_t* faces,
                         const int32_t* adjacency, const int32_t* group, const int32_t* index_img, T* grad_v,
                         int threads) {
    // A penalty makes a bias of the noise in an extrapolated colour, so that is not taken as far.
    constexpr double kMostReach = 1;
    const int64_t size = int64_t(shape.width) * shape.height;
    const auto loss_of = [&](int64_t b) {
        return [=](const View<T>& view, const Pair& pair, const Boundary<double>& boundary) {
            const auto [reach_a, reach_b] = reaches(view, pair, boundary, kMostReach);
            const FourPixels<T> colours = four_pixels(image + b * size * channels, channels, view.width, pair,
                                                      pair.a_usable, pair.b_usable);
            const auto inside = [&](const T* x, int count) {
                return four_pixels(x + b * size * count, count, view.width, pair, pair.a_inside, pair.b_inside);
            };
            return jump_loss_of_penalty<double, T>({colours, reach_a, reach_b}, inside(target, channels),
                                                   inside(grad_loss, 1), channels, penalty, scale);
        };
    };
    add_images(shape, v_pix, faces, adjacency, group, index_img, grad_v, threads, loss_of);
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
