// Checks of index values, done here because only the loops that read the indices can do them for free.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "cpu/cpu.h"

namespace headfit {

// True if low <= values[i] <= high for all i. Without a branch, so that it takes several values at a time.
inline bool all_between(const int32_t* values, int64_t count, int64_t low, int64_t high) {
    int32_t outside = 0;
    for (int64_t i = 0; i < count; ++i) outside |= int32_t(values[i] < int32_t(low)) | int32_t(values[i] > int32_t(high));
    return outside == 0;
}

inline void check_faces(const Shape& shape, const int32_t* faces) {
    if (all_between(faces, 3 * shape.faces, 0, shape.vertices - 1)) return;
    for (int64_t i = 0; i < 3 * shape.faces; ++i)
        if (faces[i] < 0 || faces[i] >= shape.vertices)
            throw std::invalid_argument("faces: face " + std::to_string(i / 3) + " refers to vertex " +
                                        std::to_string(faces[i]) + ", but there are " +
                                        std::to_string(shape.vertices) + " vertices");
}

[[noreturn]] inline void no_such_face(const Shape& shape, int32_t face) {
    throw std::invalid_argument("index_img: holds face " + std::to_string(face) + ", which is not in [-1, " +
                                std::to_string(shape.faces) + "); was it rasterized with other faces?");
}

// One value of index_img.
inline void check_face(const Shape& shape, int32_t face) {
    if (face < -1 || face >= shape.faces) no_such_face(shape, face);
}

inline void check_adjacency(const Shape& shape, const int32_t* adjacency) {
    if (!all_between(adjacency, 3 * shape.faces, -1, shape.faces - 1))
        throw std::invalid_argument("topology: does not belong to these faces");
}

}  // namespace headfit
