// The sizes of one call of an operator.
#pragma once

#include <cstdint>

#include "core/vec.h"

namespace headfit {

struct Sizes {
    int64_t images;    // B
    int64_t vertices;  // V
    int64_t faces;     // F
    int height, width;

    HEADFIT_HD int64_t pixels() const { return int64_t(height) * width; }  // of one image
};

}  // namespace headfit
