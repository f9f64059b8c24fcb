// The common case of core/walk.h in a fraction of the operations: a short, unobstructed walk along an axis.
#pragma once

#include "core/boundary.h"
#include "cpu/lanes.h"
#include "cpu/zeros.h"

namespace headfit {

// A vertex on screen, relative to the start of the walk.
struct ScreenPoint {
    typedef double Two __attribute__((vector_size(2 * sizeof(double))));
    Two r;
    bool in_front;  // finite and in front of the near plane

    template <class T>
    HEADFIT_INLINE ScreenPoint(const Mesh<double, T>& mesh, int32_t id, const Two& from) {
        const T* p = mesh.vertices + 3 * int64_t(id);
        const double x = double(p[0]), y = double(p[1]), sum = x + y + double(p[2]);
        r = Two{x, y} - from;
        in_front = (p[2] > T(kNear)) & (sum - sum == 0);  // infinity minus itself is NaN
    }

    // Position relative to the path along an axis (0: x, 1: y): on it, or on the side towards which x rotates to become
    // y.
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

// Twice the signed area of a triangle, positive if its corners rotate from x towards y.
HEADFIT_INLINE double area(const ScreenPoint& a, const ScreenPoint& b, const ScreenPoint& c) {
    const ScreenPoint::Two ab = b.r - a.r, ac = c.r - a.r;
    return ab[0] * ac[1] - ab[1] * ac[0];
}

// Whether the walk from `face`, which covers `start`, along an axis enters `target`, which covers a point further
// along. Also false in every case that needs the full walk: a border, a fold, the near plane, a vertex exactly on the
// path, or many faces. core/boundary.h says why a pair for which this is true has no jump.
//
// The path leaves each face by the edge from a vertex `low` to a vertex `high`, which is above the path, and the next
// face's third vertex has to lie on the far side of that edge. Selects values instead of branching: on a mesh of small
// faces the branches would be unpredictable.
template <int axis, class T>
HEADFIT_INLINE bool walk_reaches(const Surface<double, T>& surface, int32_t face, Vec2<double> start,
                                 int32_t target) {
    constexpr int kSteps = 8;
    const Mesh<double, T>& mesh = surface.mesh;
    const auto wrap = [](int k) { return k >= 3 ? k - 3 : k; };
    const ScreenPoint::Two from{start.x, start.y};
    const ScreenPoint p0(mesh, mesh.vertex_id(face, 0), from), p1(mesh, mesh.vertex_id(face, 1), from),
        p2(mesh, mesh.vertex_id(face, 2), from);
    const bool tie = p0.on<axis>() | p1.on<axis>() | p2.on<axis>();
    const int above = int(p0.above<axis>()) | int(p1.above<axis>()) << 1 | int(p2.above<axis>()) << 2;
    if (!(p0.in_front & p1.in_front & p2.in_front) | tie | (above == 0) | (above == 7)) return false;
    // One corner is alone on its side of the path. The path leaves by one of that corner's two edges; if the face is
    // oriented from x towards y, by the one that rises. `above` has a bit for each corner; this table of 2-bit entries
    // maps it to the lone corner: 1 and 6 to 0, 2 and 5 to 1, 4 and 3 to 2.
    const int single = 0x690 >> 2 * above & 3;
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
        if (next == target) return true;
        // The path leaves by the edge from the new vertex to the one on the other side of the path.
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

// Whether the surface goes on across the edges of one image's faces, remembered because many pairs of pixels share an
// edge. Threads may look up an edge at the same time: they all find the same.
class KnownEdges {
  public:
    explicit KnownEdges(int64_t faces) : known_(zeros<uint8_t>(3 * faces)) {}

    // Whether the edge opposite corner k of face a, beyond which is b, is neither a fold nor a border of groups.
    template <class T>
    HEADFIT_INLINE bool goes_on(const Surface<double, T>& surface, int32_t a, int k, int32_t b) const {
        uint8_t& known = known_[3 * int64_t(a) + k];
        uint8_t state = __atomic_load_n(&known, __ATOMIC_RELAXED);
        if (state == kUnknown) {
            const bool on = surface.group[a] == surface.group[b] &&
                            headfit::goes_on(surface, a, k, b, corner_towards(surface, b, a));
            state = on ? kGoesOn : kEnds;
            __atomic_store_n(&known, state, __ATOMIC_RELAXED);
        }
        return state == kGoesOn;
    }

  private:
    enum : uint8_t { kUnknown, kGoesOn, kEnds };
    Zeros<uint8_t> known_;  // [F,3]
};

// Whether there surely is no jump between the pixel that sees face a at A and its neighbour along the axis that sees
// face b. core/boundary.h says why this agrees with find_boundary.
template <int axis, class T>
HEADFIT_INLINE bool surely_one_surface(const Surface<double, T>& surface, const KnownEdges& edges, int32_t a, int32_t b,
                                       Vec2<double> A) {
    if (a < 0 || b < 0) return false;
    const int k = corner_towards(surface, a, b);
    if (surface.across(a, k) == b && edges.goes_on(surface, a, k, b)) return true;
    return surface.group[a] == surface.group[b] && walk_reaches<axis>(surface, a, A, b);
}

}  // namespace headfit
