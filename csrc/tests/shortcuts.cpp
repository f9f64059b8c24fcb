// Compares the shortcuts of the CPU path (cpu/fast_walk.h) with the rule (core/boundary.h) on every pair of pixels of
// an image. Built and called by tests/raster/test_shortcuts.py.
#include "cpu/fast_walk.h"
#include "core/scene.h"

namespace {

using namespace headfit;

struct Counts {
    int64_t adjacent, walked, wrong;  // pairs decided by side_by_side, by walk_reaches; those of them with a jump
};

template <int axis, class T>
void count_pairs(const RasterView<double, T>& view, const KnownEdges& edges, Counts& counts) {
    for (int y = 0; y + axis < view.height; ++y)
        for (int x = 0; x + 1 - axis < view.width; ++x) {
            const int32_t a = view.face(x, y), b = view.face(x + 1 - axis, y + axis);
            const Vec2<double> A = view.centre(x, y), B = view.centre(x + 1 - axis, y + axis);
            if (a == b || !surely_one_surface<axis>(view.surface, edges, a, b, A)) continue;
            ++(side_by_side(view.surface, a, b) ? counts.adjacent : counts.walked);
            counts.wrong += find_boundary(view.surface, a, b, A, B).jump != Jump::none;
        }
}

template <class T>
void count_images(const Scene<T>& scene, int64_t* out) {
    Counts counts{0, 0, 0};
    for (int64_t image = 0; image < scene.sizes.images; ++image) {
        const RasterView<double, T> view = scene.template view<double>(image);
        const KnownEdges edges(scene.sizes.faces);
        count_pairs<0>(view, edges, counts);
        count_pairs<1>(view, edges, counts);
    }
    out[0] = counts.adjacent;
    out[1] = counts.walked;
    out[2] = counts.wrong;
}

}  // namespace

// sizes: B, V, F, H, W. out: the numbers of Counts.
#define HEADFIT_COUNT(T, name)                                                                                     \
    extern "C" void name(const int64_t* sizes, const T* v_pix, const int32_t* faces, const int32_t* index_img,     \
                         const int32_t* adjacency, const int32_t* group, int64_t* out) {                           \
        const Sizes s{sizes[0], sizes[1], sizes[2], int(sizes[3]), int(sizes[4])};                                 \
        count_images(Scene<T>{s, v_pix, faces, index_img, adjacency, group}, out);                                 \
    }
HEADFIT_COUNT(float, count_shortcuts_float32)
HEADFIT_COUNT(double, count_shortcuts_float64)
