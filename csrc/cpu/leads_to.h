// The usual case of core/walk.h, in a fraction of its operations.
#pragma once

#include "core/walk.h"
#include "cpu/lanes.h"

namespace headfit {

// A vertex on screen, relative to some point.
struct ScreenPoint {
    typedef double Two __attribute__((vector_size(2 * sizeof(double))));
    Two r;
    bool in_front;  // of the near plane, and finite

    template <class T>
    HEADFIT_INLINE ScreenPoint(const Mesh<double, T>& mesh, int32_t id, const Two& from) {
        const T* p = mesh.vertices + 3 * int64_t(id);
        const double x = double(p[0]), y = double(p[1]), sum = x + y + double(p[2]);
        r = Two{x, y} - from;
        in_front = (p[2] > T(kNear)) & (sum - sum == 0);  // infinity minus itself is NaN
    }

    // Relative to a way along an axis (0: x, 1: y): on it, or on that side of it to which x turns on its way to y.
    template <int axis>
    HEADFIT_INLINE bool on() const {
        return r[1 - axis] == 0;
    }
    template <int axis>
    HEADFIT_INLINE bool above() const {
        return axis == 0 ? r[1] > 0 : r[0] < 0;
    }

    HEADFIT_INLINE void take_if(bool take, const ScreenPoint& other) {
        const Lanes<double, 2>::Mask mask = Lanes<double, 2>::Mask{} - int64_t(take);
        r = mask ? other.r : r;
    }
};

// Twice the area of a triangle, positive if it turns from x to y.
HEADFIT_INLINE double area(const ScreenPoint& a, const ScreenPoint& b, const ScreenPoint& c) {
    const ScreenPoint::Two ab = b.r - a.r, ac = c.r - a.r;
    return ab[0] * ac[1] - ab[1] * ac[0];
}

// Whether a walk from `face`, which covers `from`, along an axis enters `aim`, which covers a point further on. False where
// that wants a closer look: a border, a fold, the near plane, a vertex exactly on the way, many faces. The walk leaves each
// face by the edge from a vertex `low` to one `high`, which is above the way, and the vertex beyond must lie on the far
// side of that edge. Selects numbers rather than branches: on a mesh of small faces no branch can be predicted.
template <int axis, class T>
HEADFIT_INLINE bool leads_to(const Surface<double, T>& surface, int32_t face, Vec2<double> start, int32_t aim) {
    constexpr int kSteps = 8;
    const Mesh<double, T>& mesh = surface.mesh;
    const auto wrap = [](int k) { return k >= 3 ? k - 3 : k; };
    const ScreenPoint::Two from{start.x, start.y};
    const ScreenPoint p0(mesh, mesh.vertex_id(face, 0), from), p1(mesh, mesh.vertex_id(face, 1), from),
        p2(mesh, mesh.vertex_id(face, 2), from);
    const bool tie = p0.on<axis>() | p1.on<axis>() | p2.on<axis>();
    const int above = int(p0.above<axis>()) | int(p1.above<axis>()) << 1 | int(p2.above<axis>()) << 2;
    if (!(p0.in_front & p1.in_front & p2.in_front) | tie | (above == 0) | (above == 7)) return false;
    // One corner has the way on its one side, two have it on the other. The walk leaves by one of the edges of the single
    // corner: if the face turns from x to y, by the one that rises.
    const int single = 0x690 >> 2 * above & 3;  // 1, 6 -> 0; 2, 5 -> 1; 4, 3 -> 2
    const bool positive = area(p0, p1, p2) > 0, single_above = above >> single & 1;
    const int other = wrap(single + (positive == single_above ? 2 : 1));
    int exit = 3 - single - other;
    int32_t low_id = mesh.vertex_id(face, single_above ? other : single);
    int32_t high_id = mesh.vertex_id(face, single_above ? single : other);
    ScreenPoint low(mesh, low_id, from), high(mesh, high_id, from);
    for (int step = 0; step < kSteps; ++step) {
        const int32_t next = surface.across(face, exit);
        if (next < 0) return false;
        const int k = corner_towards(surface, next, face);
        const int32_t id = mesh.vertex_id(next, k);
        const ScreenPoint beyond(mesh, id, from);
        if (!beyond.in_front | beyond.on<axis>() | !(area(low, high, beyond) < 0)) return false;
        if (next == aim) return true;
        // Leaves by the edge from the new vertex to the one on the other side of the way.
        const bool over = beyond.above<axis>();
        exit = wrap(k + 2 - int(mesh.vertex_id(next, next_corner(k)) == (over ? high_id : low_id)));
        high.take_if(over, beyond);
        low.take_if(!over, beyond);
        high_id = over ? id : high_id;
        low_id = over ? low_id : id;
        face = next;
    }
    return false;
}

}  // namespace headfit
