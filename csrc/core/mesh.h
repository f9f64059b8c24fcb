// A projected mesh. Vertices are stored as float or double and converted to the precision of the computation on access.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/vec.h"

namespace headfit {

// The near plane: surface at or in front of this depth (camera units, usually metres) is clipped away.
constexpr double kNear = 1e-3;

// A vertex is (x, y, z): x and y in pixels from the image's top-left corner, z the depth in camera units. Up to the
// camera matrix it is the point (x z, y z, z), so a vertex behind the camera (z < 0) remains meaningful.
template <class Real, class Stored>
struct Mesh {
    const Stored* vertices;  // [V,3]
    const int32_t* faces;    // [F,3]

    HEADFIT_HD int32_t vertex_id(int32_t face, int corner) const { return faces[3 * int64_t(face) + corner]; }

    HEADFIT_HD Vec3<Real> vertex(int32_t id) const {
        const Stored* v = vertices + 3 * int64_t(id);
        return {Real(v[0]), Real(v[1]), Real(v[2])};
    }

    HEADFIT_HD Vec3<Real> corner(int32_t face, int corner) const { return vertex(vertex_id(face, corner)); }
};

HEADFIT_HD inline int next_corner(int k) { return k == 2 ? 0 : k + 1; }
HEADFIT_HD inline int previous_corner(int k) { return k == 0 ? 2 : k - 1; }

template <class Real>
HEADFIT_HD inline bool is_finite(Vec3<Real> v) {
    return (v.x * 0 + v.y * 0 + v.z * 0 == 0) & (v.z != 0);  // NaN and infinity times 0 are NaN
}

template <class Real>
HEADFIT_HD inline Real front_or_behind(Vec3<Real> v) {
    return v.z > 0 ? Real(1) : Real(-1);
}

}  // namespace headfit
