// The usual case of core/walk.h, in a fraction of its operations.
#pragma once

#include "core/triangle.h"
#include "core/walk.h"
#include "cpu/lanes.h"

namespace headfit {

// Three vertices in the frame of a way from the point `from` along an axis (0: x, 1: y): x along it, y across.
template <int axis>
struct OnWay {
    using V = FourLanes<double>;
    V x, y;
    bool usual;  // all in front of the near plane, and none exactly on the way

    template <class T>
    HEADFIT_INLINE OnWay(const Mesh<double, T>& mesh, const int32_t id[3], Vec2<double> from) {
        const Corners<FourLanes<T>> p(Mesh<T, T>{mesh.vertices, mesh.faces}, id);
        const FourLanes<T> zero(T(0));
        const V px = __builtin_convertvector(p.x.v, typename V::Vector) - from.x;
        const V py = __builtin_convertvector(p.y.v, typename V::Vector) - from.y;
        x = axis == 0 ? px : py;
        y = axis == 0 ? py : V(-px.v);
        usual = all((p.z > FourLanes<T>(T(kNear))) & ((p.x + p.y + p.z) * zero == zero)) & all((y > V(0.0)) | (V(0.0) > y));
    }

    HEADFIT_INLINE bool above(int k) const { return y[k] > 0; }

    // Twice the area, positive if it turns from x to y.
    HEADFIT_INLINE double area() const { return (x[1] - x[0]) * (y[2] - y[0]) - (y[1] - y[0]) * (x[2] - x[0]); }
};

// Whether a walk from `face`, which covers `from`, along an axis enters `aim`, which covers a point further on. False where
// that wants a closer look: a border, a fold, the near plane, a vertex exactly on the way, many faces. The walk leaves each
// face by the edge from a vertex `low` with y < 0 to one `high` with y > 0, and the vertex beyond must lie on the far side
// of that edge. Selects numbers rather than branches: on a mesh of small faces no branch can be predicted.
template <int axis, class T>
HEADFIT_INLINE bool leads_to(const Surface<double, T>& surface, int32_t face, Vec2<double> from, int32_t aim) {
    constexpr int kSteps = 8;
    const Mesh<double, T>& mesh = surface.mesh;
    const auto wrap = [](int k) { return k >= 3 ? k - 3 : k; };
    const OnWay<axis> corners(mesh, mesh.faces + 3 * int64_t(face), from);
    const int above = int(corners.above(0)) | int(corners.above(1)) << 1 | int(corners.above(2)) << 2;
    if (!corners.usual | (above == 0) | (above == 7)) return false;
    // One corner has the way on its one side, two have it on the other. The walk leaves by one of the edges of the single
    // corner: if the face turns from x to y, by the one that rises.
    const int single = 0x690 >> 2 * above & 3;  // 1, 6 -> 0; 2, 5 -> 1; 4, 3 -> 2
    const bool positive = corners.area() > 0, single_above = above >> single & 1;
    const int other = wrap(single + (positive == single_above ? 2 : 1));
    int exit = 3 - single - other;
    int32_t low = mesh.vertex_id(face, single_above ? other : single);
    int32_t high = mesh.vertex_id(face, single_above ? single : other);
    for (int step = 0; step < kSteps; ++step) {
        const int32_t next = surface.across(face, exit);
        if (next < 0) return false;
        const int k = corner_towards(surface, next, face);
        const int32_t id[3] = {low, high, mesh.vertex_id(next, k)};
        const OnWay<axis> way(mesh, id, from);
        if (!way.usual | !(way.area() < 0)) return false;
        if (next == aim) return true;
        // Leaves by the edge from the new vertex to the one on the other side of the way.
        const bool over = way.above(2);
        exit = wrap(k + 2 - int(mesh.vertex_id(next, next_corner(k)) == (over ? high : low)));
        high = over ? id[2] : high;
        low = over ? low : id[2];
        face = next;
    }
    return false;
}

}  // namespace headfit
