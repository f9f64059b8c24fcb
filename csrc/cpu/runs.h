// Rows of pixels, taken apart into runs that see the same face: what belongs to the face is loaded once per run.
#pragma once

#include <type_traits>

#include "cpu/check.h"

namespace headfit {

// Calls run(face, x0, x1) for the runs of one row [W] of index_img; face -1 is background.
template <class Run>
void for_each_run(const int32_t* row, const Shape& shape, const Run& run) {
    for (int x0 = 0; x0 < shape.width;) {
        const int32_t face = row[x0];
        check_face(shape, face);
        int x1 = x0 + 1;
        while (x1 < shape.width && row[x1] == face) ++x1;
        run(face, x0, x1);
        x0 = x1;
    }
}

// Calls work(n) with n an std::integral_constant for the usual numbers of channels, so that loops over them unroll
// and sums stay in registers, else with n = 0: channels are then counted at run time.
template <class Work>
void with_channels(int channels, const Work& work) {
    switch (channels) {
        case 1:
            return work(std::integral_constant<int, 1>());
        case 2:
            return work(std::integral_constant<int, 2>());
        case 3:
            return work(std::integral_constant<int, 3>());
        case 4:
            return work(std::integral_constant<int, 4>());
        default:
            return work(std::integral_constant<int, 0>());
    }
}

}  // namespace headfit
