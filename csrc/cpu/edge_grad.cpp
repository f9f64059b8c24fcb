// One pass over the rows and one over the columns. Along each line: first what lies between the pixels that differ,
// then, since a jump looks at its neighbours, what each jump gives to the vertices.
#include <vector>

#include "core/motion.h"
#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/vertex_sums.h"

namespace headfit {
namespace {

template <class T>
struct Image {
    int width, height, channels;
    const int32_t* index;  // [H,W]
    const T *colour, *grad;  // [H,W,C]
};

// A row (axis 0) or a column (axis 1) of the image.
struct Line {
    int axis, length;
    int64_t first, step;  // pixels
    int number;

    Vec2<double> centre(int i) const {
        return axis == 0 ? Vec2<double>{i + 0.5, number + 0.5} : Vec2<double>{number + 0.5, i + 0.5};
    }
    int64_t pixel(int i) const { return first + i * step; }
};

struct JumpAt {
    int i;  // between pixels i and i + 1 of the line
    Boundary<double> boundary;
};

template <class T>
void find_jumps(const Surface<double, T>& surface, const Image<T>& image, const Line& line, std::vector<JumpAt>& jumps) {
    jumps.clear();
    int32_t a = image.index[line.pixel(0)];
    for (int i = 0; i + 1 < line.length; ++i) {
        const int32_t b = image.index[line.pixel(i + 1)];
        if (a != b) {
            const Boundary<double> boundary = find_boundary(surface, a, b, line.centre(i), line.centre(i + 1));
            if (boundary.jump != Jump::none) jumps.push_back({i, boundary});
        }
        a = b;
    }
}

template <class T>
PixelColour<T> colour_at(const Image<T>& image, const Line& line, int i, int outer, bool use_outer) {
    const int64_t here = line.pixel(i) * image.channels, there = line.pixel(outer) * image.channels;
    return {image.colour + here, image.grad + here, use_outer ? image.colour + there : nullptr,
            use_outer ? image.grad + there : nullptr};
}

// G of dL = G dp for jumps[n].
template <class T>
double loss_of_jump(const Surface<double, T>& surface, const Image<T>& image, const Line& line,
                    const std::vector<JumpAt>& jumps, size_t n) {
    const auto& [i, r] = jumps[n];
    const bool a_has_outer = i > 0, b_has_outer = i + 2 < line.length;
    const bool a_usable = a_has_outer && !(n > 0 && jumps[n - 1].i == i - 1);
    const bool b_usable = b_has_outer && !(n + 1 < jumps.size() && jumps[n + 1].i == i + 1);
    const auto face = [&](int j) { return image.index[line.pixel(j)]; };
    const Vec2<double> A = line.centre(i), B = line.centre(i + 1), P = A + r.t * (B - A);
    double reach_a = r.t, reach_b = 1 - r.t;
    if (r.jump == Jump::a_in_front && a_usable)
        reach_a = limb_reach(surface.mesh, r.a, P, face(i), A, face(i - 1), line.centre(i - 1), reach_a);
    if (r.jump == Jump::b_in_front && b_usable)
        reach_b = limb_reach(surface.mesh, r.b, P, face(i + 1), B, face(i + 2), line.centre(i + 2), reach_b);
    return boundary_loss(colour_at(image, line, i, i - 1, a_usable), colour_at(image, line, i + 1, i + 2, b_usable),
                         image.channels, reach_a, reach_b, a_has_outer && b_has_outer);
}

template <class T>
void add_line(const Surface<double, T>& surface, const Image<T>& image, const Line& line, std::vector<JumpAt>& jumps,
              double* sum) {
    find_jumps(surface, image, line, jumps);
    const auto add = [sum](int32_t vertex, int component, double value) { sum[3 * int64_t(vertex) + component] += value; };
    for (size_t n = 0; n < jumps.size(); ++n) {
        const double G = loss_of_jump(surface, image, line, jumps, n);
        if (G == 0) continue;
        const auto& [i, boundary] = jumps[n];
        move_boundary(surface.mesh, boundary, line.centre(i), line.centre(i + 1), line.axis, G, add);
    }
}

}  // namespace

template <class T>
void edge_grad_backward(const Shape& shape, int channels, const T* grad_image, const T* image, const T* v_pix,
                        const int32_t* faces, const int32_t* adjacency, const int32_t* group, const int32_t* index_img,
                        T* grad_v, int threads) {
    check_faces(shape, faces);
    check_index_img(shape, index_img);
    check_adjacency(shape, adjacency);
    const int W = shape.width, H = shape.height;
    const int64_t pixels = int64_t(W) * H;
    VertexSums sums(shape.vertices, 3, threads);
    for (int64_t b = 0; b < shape.images; ++b) {
        const Surface<double, T> surface{{v_pix + 3 * b * shape.vertices, faces}, adjacency, group};
        const int64_t base = b * pixels;
        const Image<T> view{W, H, channels, index_img + base, image + base * channels, grad_image + base * channels};
        if (pixels > 0)
            sums.add_rows(H + W, [&](int number, double* sum) {
                thread_local std::vector<JumpAt> jumps;
                const bool row = number < H;
                const Line line = row ? Line{0, W, int64_t(number) * W, 1, number}
                                      : Line{1, H, int64_t(number - H), W, number - H};
                add_line(surface, view, line, jumps, sum);
            });
        sums.move_to(grad_v + 3 * b * shape.vertices);
    }
}

#define HEADFIT_INSTANTIATE(T)                                                                                       \
    template void edge_grad_backward<T>(const Shape&, int, const T*, const T*, const T*, const int32_t*,             \
                                        const int32_t*, const int32_t*, const int32_t*, T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
