// Binning: the faces that may be visible in each tile of the image.
#pragma once

#include <vector>

#include "core/triangle.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "cpu/parallel.h"

namespace headfit {

constexpr int kTile = 32;

struct TileGrid {
    int columns, rows, width, height;

    TileGrid(int width, int height)
        : columns((width + kTile - 1) / kTile), rows((height + kTile - 1) / kTile), width(width), height(height) {}

    int64_t count() const { return int64_t(columns) * rows; }

    PixelBox box(int column, int row) const {
        const int x = column * kTile, y = row * kTile;
        return {x, y, std::min(x + kTile, width), std::min(y + kTile, height)};
    }
    PixelBox box(int64_t tile) const { return box(int(tile % columns), int(tile / columns)); }
};

// A face in a tile, with the box of pixels that it may cover, relative to the tile's corner.
struct TileFace {
    int32_t face;
    uint8_t x0, y0, x1, y1;
};

// Bins of one image's faces. Chunks of consecutive faces are binned in parallel, each into bins of its own: threads
// share nothing, and the faces of a tile are visited in ascending order.
template <class T>
class Binning {
  public:
    using V = FourLanes<T>;

    Binning(const Mesh<T, T>& mesh, const Sizes& sizes, const TileGrid& grid, int threads)
        : mesh_(mesh), grid_(grid), boxes_(sizes.vertices), faces_(sizes.faces) {
        chunk_ = std::max<int64_t>(kChunk, (sizes.faces + threads - 1) / threads);
        bins_.resize((sizes.faces + chunk_ - 1) / chunk_);
    }

    const TileGrid& grid() const { return grid_; }
    int64_t chunks() const { return int64_t(bins_.size()); }

    bool is_empty(int64_t tile) const {
        for (const Bins& bins : bins_)
            if (bins.start[tile] < bins.start[tile + 1]) return false;
        return true;
    }

    void place_vertices(int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const PixelBox box = vertex_box(mesh_.vertex(int32_t(i)), grid_.width, grid_.height);
            boxes_[i] = Extent{-box.x0, -box.y0, box.x1, box.y1};
        }
    }

    HEADFIT_INLINE void fill(int64_t chunk) {
        Bins& bins = bins_[chunk];
        const int64_t begin = chunk * chunk_, end = std::min(begin + chunk_, faces_);
        std::vector<Found> found;
        found.reserve(end - begin);
        bins.start.assign(grid_.count() + 1, 0);
        for (int64_t face = begin; face < end; ++face) {
            const PixelBox box = box_of(int32_t(face));
            if (box.empty()) continue;
            const int c0 = unsigned(box.x0) / kTile, c1 = unsigned(box.x1 - 1) / kTile;
            const int r0 = unsigned(box.y0) / kTile, r1 = unsigned(box.y1 - 1) / kTile;
            if (c0 == c1 && r0 == r1)
                add(int32_t(face), box, c0, r0, found, bins);
            else
                add_to_tiles(int32_t(face), box, c0, c1, r0, r1, found, bins);
        }
        sort(found, bins);
    }

    // Calls visit(TileFace) for the faces of a tile in ascending order.
    template <class Visit>
    HEADFIT_INLINE void for_each_face(int64_t tile, const Visit& visit) const {
        for (const Bins& bins : bins_)
            for (int32_t i = bins.start[tile]; i < bins.start[tile + 1]; ++i) visit(bins.faces[i]);
    }

  private:
    static constexpr int64_t kChunk = 4096;
    static constexpr int kManyTiles = 4;  // a face whose box has more tiles is tested against each of them

    // A PixelBox as {-x0, -y0, x1, y1}, so that the union of boxes is an elementwise maximum.
    typedef int32_t Extent __attribute__((vector_size(4 * sizeof(int32_t))));

    // Faces sorted by tile: those of tile i are faces[start[i]] to faces[start[i + 1] - 1].
    struct Bins {
        std::vector<int32_t> start;
        std::vector<TileFace> faces;
    };
    struct Found {
        int32_t tile;
        TileFace face;
    };

    HEADFIT_INLINE PixelBox box_of(int32_t face) const {
        const Extent &a = boxes_[mesh_.vertex_id(face, 0)], &b = boxes_[mesh_.vertex_id(face, 1)],
                     &c = boxes_[mesh_.vertex_id(face, 2)];
        const Extent ab = a > b ? a : b, abc = ab > c ? ab : c;
        return {-abc[0], -abc[1], abc[2], abc[3]};
    }

    HEADFIT_INLINE void add(int32_t face, const PixelBox& box, int column, int row, std::vector<Found>& found,
                            Bins& bins) const {
        const int left = column * kTile, top = row * kTile;
        const int32_t tile = row * grid_.columns + column;
        const auto from = [](int at) { return uint8_t(std::max(at, 0)); };
        const auto to = [](int at) { return uint8_t(std::min(at, kTile)); };
        found.push_back({tile, {face, from(box.x0 - left), from(box.y0 - top), to(box.x1 - left), to(box.y1 - top)}});
        ++bins.start[tile + 1];
    }

    void add_to_tiles(int32_t face, const PixelBox& box, int c0, int c1, int r0, int r1, std::vector<Found>& found,
                      Bins& bins) const {
        const bool test = (c1 - c0 + 1) * (r1 - r0 + 1) > kManyTiles;
        Triangle<V> tri{};  // set up only if it is tested
        if (test) {
            const int32_t id[3] = {mesh_.vertex_id(face, 0), mesh_.vertex_id(face, 1), mesh_.vertex_id(face, 2)};
            const Corners<V> corners(mesh_, id);
            if (pixel_box(corners, grid_.width, grid_.height).empty()) return;  // entirely behind the near plane
            if (!setup_triangle(corners, id, tri)) return;
        }
        for (int row = r0; row <= r1; ++row)
            for (int column = c0; column <= c1; ++column)
                if (!test || may_touch(tri, grid_.box(column, row))) add(face, box, column, row, found, bins);
    }

    void sort(const std::vector<Found>& found, Bins& bins) const {
        for (int64_t tile = 0; tile < grid_.count(); ++tile) bins.start[tile + 1] += bins.start[tile];
        bins.faces.resize(found.size());
        std::vector<int32_t> slot(bins.start.begin(), bins.start.end() - 1);
        for (const Found& f : found) bins.faces[slot[f.tile]++] = f.face;
    }

    Mesh<T, T> mesh_;
    TileGrid grid_;
    std::vector<Extent> boxes_;  // [V]
    int64_t faces_, chunk_;
    std::vector<Bins> bins_;
};

}  // namespace headfit
