// A texture with mip levels: which texels a point of it blends, and how fine a level a pixel calls for.
//
// uv: u to the right, v up, the texture's outline is [0,1]^2; texel rows run downwards, so that row 0 is at v = 1. The
// levels lie one after the other in memory, each half as high and wide as the one before. Beyond the outline the outermost
// texels go on.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/vec.h"

namespace headfit {

struct MipLevel {
    int64_t first;  // texels before it
    int height, width;
};

struct MipShape {
    int height, width;  // of level 0
    int levels;

    HEADFIT_HD MipLevel level(int n) const {
        MipLevel level{0, height, width};
        for (int i = 0; i < n; ++i)
            level = {level.first + int64_t(level.height) * level.width, level.height / 2, level.width / 2};
        return level;
    }
    HEADFIT_HD int64_t texels() const { return level(levels).first; }
};

// Between which two texels a coordinate (in texels from the outline) lies.
template <class T>
struct Between {
    int low, high;
    T share;  // of `high`
    bool inside;  // moving the coordinate moves the share
};

// NaN counts as 0, like anything below.
template <class T>
HEADFIT_HD inline Between<T> between(T x, int count) {
    const T from_centre = x - T(0.5), last = T(count - 1);
    const bool inside = from_centre > 0 && from_centre < last;
    const T clamped = from_centre > 0 ? (from_centre < last ? from_centre : last) : T(0);
    const int low = int(clamped);
    return {low, low + 1 < count ? low + 1 : low, clamped - T(low), inside};
}

// The four texels around a point of one level.
template <class T>
struct Bilinear {
    int64_t texel[4];
    int row[4];
    T weight[4];
    Vec2<T> slope[4];  // d weight / d uv
};

template <class T>
HEADFIT_HD inline Bilinear<T> bilinear(const MipLevel& level, Vec2<T> uv) {
    const Between<T> x = between(uv.x * T(level.width), level.width);
    const Between<T> y = between((T(1) - uv.y) * T(level.height), level.height);
    const T per_u = x.inside ? T(level.width) : T(0), per_v = y.inside ? -T(level.height) : T(0);
    Bilinear<T> result;
    for (int i = 0; i < 4; ++i) {
        const bool right = i & 1, down = i & 2;
        const T wx = right ? x.share : T(1) - x.share, wy = down ? y.share : T(1) - y.share;
        result.row[i] = down ? y.high : y.low;
        result.texel[i] = level.first + int64_t(result.row[i]) * level.width + (right ? x.high : x.low);
        result.weight[i] = wx * wy;
        result.slope[i] = {right ? per_u * wy : -per_u * wy, down ? wx * per_v : -wx * per_v};
    }
    return result;
}

// Square of the way (in texels of level 0) between the points that two pixels see.
template <class T>
HEADFIT_HD inline T texels_apart(const MipShape& mips, Vec2<T> a, Vec2<T> b) {
    const Vec2<T> step = a - b;
    const T x = step.x * T(mips.width), y = step.y * T(mips.height);
    return x * x + y * y;
}

// The level, with a fraction, whose texels are as large as the pixel's footprint is long: log2 of its longer side.
// NaN and anything shorter than a texel call for level 0.
template <class T>
HEADFIT_HD inline T level_for(const MipShape& mips, T longest_squared) {
    if (!(longest_squared > T(1))) return T(0);
    const T level = T(0.5) * std::log2(longest_squared), last = T(mips.levels - 1);
    return level < last ? level : last;
}

}  // namespace headfit
