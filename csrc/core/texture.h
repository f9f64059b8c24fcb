// Textures with mip levels: the texels that a sample blends, and the level that a pixel's footprint selects.
//
// uv: u to the right, v up, the texture covers [0,1]^2; row 0 of the texels is at the top, v = 1. Levels are stored one
// after the other, each half as high and wide as the one before. Coordinates outside the texture are clamped to its
// border.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/sizes.h"
#include "core/vec.h"

namespace headfit {

struct MipLevel {
    int64_t first;  // index of its first texel
    int height, width;
};

struct MipSizes {
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

// The two texels between which a coordinate lies, given in texels from the texture's border.
template <class T>
struct Between {
    int low, high;
    T share;      // weight of `high`
    bool inside;  // false where the coordinate is clamped and the weight has no slope
};

// NaN is treated as 0, like negative coordinates.
template <class T>
HEADFIT_HD inline Between<T> between(T x, int count) {
    const T from_centre = x - T(0.5), last = T(count - 1);
    const bool inside = from_centre > 0 && from_centre < last;
    const T clamped = from_centre > 0 ? (from_centre < last ? from_centre : last) : T(0);
    const int low = int(clamped);
    return {low, low + 1 < count ? low + 1 : low, clamped - T(low), inside};
}

// The four texels around a sample on one level.
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

// The squared distance, in texels of level 0, between the texture coordinates of two pixels.
template <class T>
HEADFIT_HD inline T texels_apart(const MipSizes& mips, Vec2<T> a, Vec2<T> b) {
    const Vec2<T> step = a - b;
    const T x = step.x * T(mips.width), y = step.y * T(mips.height);
    return x * x + y * y;
}

// The texture coordinates of all pixels of a call.
template <class T>
struct TextureView {
    Sizes sizes;
    MipSizes mips;
    const T* uv;               // [B,H,W,2]
    const int32_t* index_img;  // [B,H,W]
    const int32_t* group;      // [F] the chart of each face; null if all faces are on one chart

    // An index out of range counts as background: a GPU kernel cannot raise an error.
    HEADFIT_HD int32_t face(int64_t pixel) const { return index_img[pixel] < sizes.faces ? index_img[pixel] : -1; }
    HEADFIT_HD Vec2<T> uv_at(int64_t pixel) const { return {uv[2 * pixel], uv[2 * pixel + 1]}; }

    HEADFIT_HD bool on_one_chart(int64_t a, int64_t b) const {
        const int32_t f = face(a), g = face(b);
        return f >= 0 && g >= 0 && (!group || group[f] == group[g]);
    }

    // The level for a pixel that sees a face. Along each axis, its footprint extends to the neighbour on the same chart
    // that is nearer on the texture, since the other neighbour may see a different surface.
    HEADFIT_HD T level(int64_t pixel, int y, int x) const;

  private:
    // Squared distance on the texture to the nearer neighbour along one axis, 0 if there is none on the same chart.
    HEADFIT_HD T along(int64_t pixel, int64_t stride, bool before, bool after) const {
        T shortest = -1;
        const auto consider = [&](int64_t other) {
            if (!on_one_chart(pixel, other)) return;
            const T distance = texels_apart(mips, uv_at(pixel), uv_at(other));
            if (shortest < 0 || distance < shortest) shortest = distance;
        };
        if (before) consider(pixel - stride);
        if (after) consider(pixel + stride);
        return shortest > 0 ? shortest : T(0);
    }
};

// The fractional level whose texels match the longer side of the pixel's footprint: log2 of its length. NaN, and
// anything shorter than a texel, select level 0.
template <class T>
HEADFIT_HD inline T level_for(const MipSizes& mips, T longest_squared) {
    if (!(longest_squared > T(1))) return T(0);
    const T level = T(0.5) * std::log2(longest_squared), last = T(mips.levels - 1);
    return level < last ? level : last;
}

template <class T>
HEADFIT_HD inline T TextureView<T>::level(int64_t pixel, int y, int x) const {
    if (mips.levels == 1) return T(0);
    const T across = along(pixel, 1, x > 0, x + 1 < sizes.width);
    const T down = along(pixel, sizes.width, y > 0, y + 1 < sizes.height);
    return level_for(mips, across > down ? across : down);
}

// Calls visit(bilinear, weight, number) for each of the one or two levels that a sample blends. levels.level(n): like
// MipSizes::level.
template <class T, class Levels, class Visit>
HEADFIT_HD inline void for_each_level(const Levels& levels, T level, Vec2<T> uv, const Visit& visit) {
    const int low = int(level);
    const T share = level - T(low);
    visit(bilinear(levels.level(low), uv), T(1) - share, low);
    if (share > 0) visit(bilinear(levels.level(low + 1), uv), share, low + 1);
}

}  // namespace headfit
