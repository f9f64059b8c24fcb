// Sizes of a call.
#pragma once

#include <cstdint>

namespace headfit {

struct Shape {
    int64_t images;    // B
    int64_t vertices;  // V
    int64_t faces;     // F
    int height, width;
};

}  // namespace headfit
