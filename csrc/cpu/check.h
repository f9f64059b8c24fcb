// Checks of index values. They are done in C++, where they cost almost nothing next to the loops that use the indices.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

#include "core/scene.h"

namespace headfit {

// Whether low <= values[i] <= high for all i. Written without branches, so that it vectorizes.
inline bool all_between(const int32_t* values, int64_t count, int64_t low, int64_t high) {
    int32_t outside = 0;
    for (int64_t i = 0; i < count; ++i) outside |= int32_t(values[i] < int32_t(low)) | int32_t(values[i] > int32_t(high));
    return outside == 0;
}

template <class T>
inline void check_faces(const Scene<T>& scene) {
    const Sizes& sizes = scene.sizes;
    const int32_t* faces = scene.faces;
    if (all_between(faces, 3 * sizes.faces, 0, sizes.vertices - 1)) return;
    for (int64_t i = 0; i < 3 * sizes.faces; ++i)
        if (faces[i] < 0 || faces[i] >= sizes.vertices)
            throw std::invalid_argument("faces: face " + std::to_string(i / 3) + " refers to vertex " +
                                        std::to_string(faces[i]) + ", but there are " +
                                        std::to_string(sizes.vertices) + " vertices");
}

// Checks one value of index_img.
inline void check_face(const Sizes& sizes, int32_t face) {
    if (face < -1 || face >= sizes.faces)
        throw std::invalid_argument("index_img: holds face " + std::to_string(face) + ", which is not in [-1, " +
                                    std::to_string(sizes.faces) + "); was it rasterized with other faces?");
}

// Checks rows of index_img, before functions with clones (cpu/lanes.h) use them: those must not throw, because GCC 12
// generates wrong code for unwinding out of them.
inline void check_rows(const Sizes& sizes, const int32_t* first, int rows) {
    const int64_t count = int64_t(rows) * sizes.width;
    if (all_between(first, count, -1, sizes.faces - 1)) return;
    for (int64_t i = 0; i < count; ++i) check_face(sizes, first[i]);
}

template <class T>
inline void check_adjacency(const Scene<T>& scene) {
    if (!all_between(scene.adjacency, 3 * scene.sizes.faces, -1, scene.sizes.faces - 1))
        throw std::invalid_argument("topology: does not belong to these faces");
}

}  // namespace headfit
