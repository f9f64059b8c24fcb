// Rows of pixels, split into runs that see the same face, so that the face's data is loaded once per run.
#pragma once

#include <type_traits>

#include "core/sizes.h"
#include "cpu/lanes.h"

namespace headfit {

// Calls run(face, x0, x1) for each run of one row [W] of index_img, which has been checked; face -1 is background.
template <class Run>
HEADFIT_INLINE void for_each_run(const int32_t* row, const Sizes& sizes, const Run& run) {
    for (int x0 = 0; x0 < sizes.width;) {
        const int32_t face = row[x0];
        int x1 = x0 + 1;
        while (x1 < sizes.width && row[x1] == face) ++x1;
        run(face, x0, x1);
        x0 = x1;
    }
}

// Calls work(n) with n a std::integral_constant equal to `channels` for common numbers of channels, so that loops over
// them unroll and sums stay in registers; otherwise n = 0, and the number of channels is known only at run time.
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
