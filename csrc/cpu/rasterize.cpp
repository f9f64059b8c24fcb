// The image is drawn in tiles, each owned by one thread at a time, with its depth buffer in the L1 cache. Faces are
// drawn in ascending order with a strict depth test, so the lower index wins ties for any number of threads.
// Barycentrics are computed at the end, for visible faces only.
#include <limits>
#include <vector>

#include "cpu/bins.h"
#include "cpu/check.h"
#include "cpu/lanes.h"

namespace headfit {
namespace {

template <class T>
struct Tile {
    using V = FourLanes<T>;
    static constexpr int kPadded = kTile + kLanes - 1;  // lanes that start inside the tile may end outside
    T depth[kTile][kPadded];
    int32_t drawn[kTile][kPadded];       // index into triangles, -1 for none
    std::vector<Triangle<V>> triangles;  // the first `count` are in use
    std::vector<int32_t> faces;
    int32_t count;

    void clear() {
        count = 0;
        std::fill(&depth[0][0], &depth[0][0] + kTile * kPadded, std::numeric_limits<T>::infinity());
        std::fill(&drawn[0][0], &drawn[0][0] + kTile * kPadded, -1);
    }

    // Where to set up the next triangle.
    HEADFIT_INLINE Triangle<V>& spare() {
        if (size_t(count) == triangles.size()) grow();
        return triangles[count];
    }

    void grow() {
        triangles.resize(2 * triangles.size() + 64);
        faces.resize(triangles.size());
    }
};

// Draws triangle number `count` into the tile whose first pixel is (left, top). Returns whether it passed any depth
// test.
template <class T>
HEADFIT_INLINE bool draw_rows(Tile<T>& tile, const Triangle<FourLanes<T>>& tri, const TileFace& box, int left,
                              int top) {
    using L = Lanes<T>;
    typename L::Vector steps;
    for (int i = 0; i < kLanes; ++i) steps[i] = T(i);
    typename L::Mask seen{};
    for (int x = box.x0; x < box.x1; x += kLanes) {
        const typename L::Vector px = steps + (T(left + x) + T(0.5));
        typename L::Vector along_x[3];
        for (int k = 0; k < 3; ++k) along_x[k] = tri.a[k] * (px - tri.x[k]);
        for (int y = box.y0; y < box.y1; ++y) {
            const T py = T(top + y) + T(0.5);
            typename L::Vector t[3];
            for (int k = 0; k < 3; ++k) t[k] = along_x[k] + tri.b[k] * (py - tri.y[k]);
            typename L::Mask wins = (t[0] >= tri.threshold[0]) & (t[1] >= tri.threshold[1]) & (t[2] >= tri.threshold[2]);
            typename L::Vector z, nearest;
            depth_at(tri, t, z);
            T* depth = &tile.depth[y][x];
            std::memcpy(&nearest, depth, sizeof(nearest));
            wins &= (z > T(kNear)) & (z < nearest);
            L::store(wins, z, nearest, depth);
            L::store(wins, tile.count, &tile.drawn[y][x]);
            seen |= wins;
        }
    }
    return L::any(seen);
}

// The same pixel by pixel, for boxes of a few pixels.
template <class T>
HEADFIT_INLINE bool draw_pixels(Tile<T>& tile, const Triangle<FourLanes<T>>& tri, const TileFace& box, int left,
                                int top) {
    bool seen = false;
    for (int y = box.y0; y < box.y1; ++y)
        for (int x = box.x0; x < box.x1; ++x) {
            const FourLanes<T> t = tri.edges(T(left + x) + T(0.5), T(top + y) + T(0.5));
            if (!all(t >= tri.threshold)) continue;
            const T z = depth_at(tri, t);
            if (!(z > T(kNear) && z < tile.depth[y][x])) continue;
            tile.depth[y][x] = z;
            tile.drawn[y][x] = tile.count;
            seen = true;
        }
    return seen;
}

// The outputs of one image.
template <class T>
struct Outputs {
    int32_t* index;
    T *bary, *depth;
    int width;

    void write_background(const PixelBox& box) const {
        for (int y = box.y0; y < box.y1; ++y) {
            const int64_t begin = int64_t(y) * width + box.x0, end = int64_t(y) * width + box.x1;
            std::fill(index + begin, index + end, -1);
            std::fill(bary + 3 * begin, bary + 3 * end, T(0));
            std::fill(depth + begin, depth + end, T(0));
        }
    }

    HEADFIT_INLINE void write(const Tile<T>& tile, const PixelBox& box) const {
        for (int y = box.y0; y < box.y1; ++y)
            for (int x = box.x0; x < box.x1; ++x) {
                const int64_t pixel = int64_t(y) * width + x;
                const int32_t n = tile.drawn[y - box.y0][x - box.x0];
                T* b = bary + 3 * pixel;
                if (n < 0) {
                    index[pixel] = -1;
                    depth[pixel] = b[0] = b[1] = b[2] = 0;
                    continue;
                }
                index[pixel] = tile.faces[n];
                depth[pixel] = tile.depth[y - box.y0][x - box.x0];
                const FourLanes<T> at = bary_at(tile.triangles[n], T(x) + T(0.5), T(y) + T(0.5));
                std::memcpy(b, &at, 3 * sizeof(T));
            }
    }
};

template <class T>
HEADFIT_INLINE void draw_tile(const Mesh<T, T>& mesh, const Binning<T>& binning, int64_t tile_id, Tile<T>& tile,
                              const Outputs<T>& outputs) {
    constexpr int kFewPixels = 4;
    const PixelBox limits = binning.grid().box(tile_id);
    if (binning.is_empty(tile_id)) return outputs.write_background(limits);
    tile.clear();
    binning.for_each_face(tile_id, [&](const TileFace& f) {
        const int32_t id[3] = {mesh.vertex_id(f.face, 0), mesh.vertex_id(f.face, 1), mesh.vertex_id(f.face, 2)};
        Triangle<FourLanes<T>>& tri = tile.spare();
        if (!setup_triangle(Corners<FourLanes<T>>(mesh, id), id, tri)) return;
        const bool seen = (f.x1 - f.x0) * (f.y1 - f.y0) <= kFewPixels ? draw_pixels(tile, tri, f, limits.x0, limits.y0)
                                                                      : draw_rows(tile, tri, f, limits.x0, limits.y0);
        if (seen) tile.faces[tile.count++] = f.face;
    });
    outputs.write(tile, limits);
}

HEADFIT_CLONES void fill_clones(Binning<float>& binning, int64_t chunk) { binning.fill(chunk); }
HEADFIT_CLONES void fill_clones(Binning<double>& binning, int64_t chunk) { binning.fill(chunk); }

HEADFIT_CLONES void draw_tile_clones(const Mesh<float, float>& mesh, const Binning<float>& binning, int64_t tile_id,
                                     Tile<float>& tile, const Outputs<float>& outputs) {
    draw_tile(mesh, binning, tile_id, tile, outputs);
}

HEADFIT_CLONES void draw_tile_clones(const Mesh<double, double>& mesh, const Binning<double>& binning, int64_t tile_id,
                                     Tile<double>& tile, const Outputs<double>& outputs) {
    draw_tile(mesh, binning, tile_id, tile, outputs);
}

}  // namespace

template <class T>
void rasterize(const Scene<T>& scene, const Raster<T>& out, int threads) {
    check_faces(scene);
    const Sizes& sizes = scene.sizes;
    const TileGrid grid(sizes.width, sizes.height);
    threads = std::max(threads, 1);
    for (int64_t image = 0; image < sizes.images; ++image) {
        const auto mesh = scene.template mesh<T>(image);
        const int64_t first = image * sizes.pixels();
        const Outputs<T> outputs{out.index_img + first, out.bary + 3 * first, out.depth + first, sizes.width};
        Binning<T> binning(mesh, sizes, grid, threads);
        constexpr int64_t kVertices = 8192;  // at a time
        const auto place = [&](int64_t i) {
            binning.place_vertices(i * kVertices, std::min((i + 1) * kVertices, sizes.vertices));
        };
        const auto fill = [&](int64_t chunk) { fill_clones(binning, chunk); };
        std::atomic<int64_t> next_vertices{0}, next_chunk{0}, next_tile{0};
        run_workers(int(std::min<int64_t>(threads, std::max<int64_t>(grid.count(), 1))),
                    each((sizes.vertices + kVertices - 1) / kVertices, next_vertices, place),
                    each(binning.chunks(), next_chunk, fill), [&](int) {
                        Tile<T> tile;
                        for (int64_t i = next_tile++; i < grid.count(); i = next_tile++)
                            draw_tile_clones(mesh, binning, i, tile, outputs);
                    });
    }
}

template void rasterize<float>(const Scene<float>&, const Raster<float>&, int);
template void rasterize<double>(const Scene<double>&, const Raster<double>&, int);

}  // namespace headfit
