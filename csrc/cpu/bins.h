// Which faces may be seen in which tile of the picture.
#pragma once

#include <vector>

#include "core/triangle.h"
#include "cpu/cpu.h"
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

template <class T>
struct Corners {
    int32_t id[3];
    Vec3<T> p[3];

    Corners(const Mesh<T, T>& mesh, int32_t face) {
        for (int k = 0; k < 3; ++k) {
            id[k] = mesh.vertex_id(face, k);
            p[k] = mesh.vertex(id[k]);
        }
    }
};

// One image's faces, in chunks of consecutive ones that can be binned in parallel: each chunk has bins of its own, so
// that nothing is shared and the faces of a tile are met in ascending order.
template <class T>
class Binning {
  public:
    Binning(const Mesh<T, T>& mesh, const Shape& shape, const TileGrid& grid, int threads)
        : mesh_(mesh), grid_(grid), boxes_(shape.vertices), faces_(shape.faces) {
        chunk_ = std::max<int64_t>(kChunk, (shape.faces + threads - 1) / threads);
        bins_.resize((shape.faces + chunk_ - 1) / chunk_);
    }

    const TileGrid& grid() const { return grid_; }
    int64_t chunks() const { return int64_t(bins_.size()); }

    bool is_empty(int64_t tile) const {
        for (const Bins& bins : bins_)
            if (bins.start[tile] < bins.start[tile + 1]) return false;
        return true;
    }

    void place_vertices() {
        for (size_t i = 0; i < boxes_.size(); ++i)
            boxes_[i] = vertex_box(mesh_.vertex(int32_t(i)), grid_.width, grid_.height);
    }

    void fill(int64_t chunk) {
        Bins& bins = bins_[chunk];
        const int64_t begin = chunk * chunk_, end = std::min(begin + chunk_, faces_);
        std::vector<std::pair<int32_t, int32_t>> found;  // (tile, face)
        found.reserve(end - begin);
        bins.start.assign(grid_.count() + 1, 0);
        for (int64_t face = begin; face < end; ++face)
            visit_tiles(int32_t(face), [&](int64_t tile) {
                found.emplace_back(int32_t(tile), int32_t(face));
                ++bins.start[tile + 1];
            });
        for (int64_t tile = 0; tile < grid_.count(); ++tile) bins.start[tile + 1] += bins.start[tile];
        bins.faces.resize(found.size());
        std::vector<int32_t> slot(bins.start.begin(), bins.start.end() - 1);
        for (const auto& [tile, face] : found) bins.faces[slot[tile]++] = face;
    }

    // Calls visit(face, box) for the faces of a tile in ascending order; box is the part of the tile they may cover.
    template <class Visit>
    void for_each_face(int64_t tile, const Visit& visit) const {
        const PixelBox limits = grid_.box(tile);
        for (const Bins& bins : bins_)
            for (int32_t i = bins.start[tile]; i < bins.start[tile + 1]; ++i) {
                PixelBox box = box_of(bins.faces[i]);
                box = {std::max(box.x0, limits.x0), std::max(box.y0, limits.y0), std::min(box.x1, limits.x1),
                       std::min(box.y1, limits.y1)};
                visit(bins.faces[i], box);
            }
    }

  private:
    static constexpr int64_t kChunk = 4096;
    static constexpr int kManyTiles = 4;  // a box of more tiles than this is worth testing tile by tile

    // Faces by tile: those of tile i are faces[start[i]] .. faces[start[i + 1]].
    struct Bins {
        std::vector<int32_t> start, faces;
    };

    PixelBox box_of(int32_t face) const {
        return unite(unite(boxes_[mesh_.vertex_id(face, 0)], boxes_[mesh_.vertex_id(face, 1)]),
                     boxes_[mesh_.vertex_id(face, 2)]);
    }

    template <class Visit>
    void visit_tiles(int32_t face, const Visit& visit) const {
        const PixelBox box = box_of(face);
        if (box.empty()) return;
        const int c0 = box.x0 / kTile, c1 = (box.x1 - 1) / kTile, r0 = box.y0 / kTile, r1 = (box.y1 - 1) / kTile;
        const bool test = (c1 - c0 + 1) * (r1 - r0 + 1) > kManyTiles;
        Triangle<T> tri{};  // set up only if tested
        if (test) {
            const Corners<T> corners(mesh_, face);
            if (pixel_box(corners.p, grid_.width, grid_.height).empty()) return;  // all of it behind the near plane
            if (!setup_triangle(corners.p, corners.id, tri)) return;
        }
        for (int row = r0; row <= r1; ++row)
            for (int column = c0; column <= c1; ++column)
                if (!test || may_touch(tri, grid_.box(column, row))) visit(int64_t(row) * grid_.columns + column);
    }

    Mesh<T, T> mesh_;
    TileGrid grid_;
    std::vector<PixelBox> boxes_;  // [V]
    int64_t faces_, chunk_;
    std::vector<Bins> bins_;
};

}  // namespace headfit
