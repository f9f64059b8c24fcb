// Tiles of pixels, each with its depth buffer in the first-level cache and owned by one thread at a time. A tile draws
// its faces in ascending order; with a strict depth test the lower face wins a tie, whatever the number of threads.
// Barycentrics are computed at the end, for what is seen.
#include <limits>
#include <vector>

#include "cpu/bins.h"
#include "cpu/check.h"
#include "cpu/lanes.h"

namespace headfit {
namespace {

template <class T>
struct Tile {
    static constexpr int kPadded = kTile + kLanes - 1;  // lanes that start in the tile may end beyond it
    T depth[kTile][kPadded];
    int32_t drawn[kTile][kPadded];  // index into triangles, -1 for none
    std::vector<Triangle<T>> triangles;
    std::vector<int32_t> faces;

    void clear() {
        triangles.clear();
        faces.clear();
        std::fill(&depth[0][0], &depth[0][0] + kTile * kPadded, std::numeric_limits<T>::infinity());
        std::fill(&drawn[0][0], &drawn[0][0] + kTile * kPadded, -1);
    }
};

// t[k] at the lanes px of one row, see Triangle.
template <class T>
struct Edges {
    typename Lanes<T>::Vector t[3];

    HEADFIT_INLINE Edges(const Triangle<T>& tri, const typename Lanes<T>::Vector along_x[3], T qy) {
        for (int k = 0; k < 3; ++k) t[k] = along_x[k] + tri.b[k] * (qy - tri.y[k]);
    }
};

// Draws a triangle, number n of the tile, into its pixels [x0, x1) x [y0, y1); the tile begins at pixel (left, top).
template <class T>
HEADFIT_INLINE void draw(Tile<T>& tile, const Triangle<T>& tri, int32_t n, const PixelBox& box, int left, int top) {
    using L = Lanes<T>;
    typename L::Vector steps;
    for (int i = 0; i < kLanes; ++i) steps[i] = T(i);
    for (int x = box.x0; x < box.x1; x += kLanes) {
        const typename L::Vector px = steps + (T(left + x) + T(0.5));
        typename L::Vector along_x[3];
        for (int k = 0; k < 3; ++k) along_x[k] = tri.a[k] * (px - tri.x[k]);
        for (int y = box.y0; y < box.y1; ++y) {
            const Edges<T> edges(tri, along_x, T(top + y) + T(0.5));
            const auto& t = edges.t;
            typename L::Mask wins = (t[0] >= tri.threshold[0]) & (t[1] >= tri.threshold[1]) & (t[2] >= tri.threshold[2]);
            if (!L::any(wins)) continue;
            typename L::Vector z, nearest;
            depth_at(tri, t, z);
            T* depth = &tile.depth[y][x];
            std::memcpy(&nearest, depth, sizeof(nearest));
            wins &= (z > T(kNear)) & (z < nearest);
            L::store(wins, z, nearest, depth);
            L::store(wins, n, &tile.drawn[y][x]);
        }
    }
}

// One image of the outputs.
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

    void write(const Tile<T>& tile, const PixelBox& box) const {
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
                bary_at(tile.triangles[n], T(x) + T(0.5), T(y) + T(0.5), b);
            }
    }
};

template <class T>
HEADFIT_INLINE void draw_tile(const Mesh<T, T>& mesh, const Binning<T>& binning, int64_t tile_id, Tile<T>& tile,
                              const Outputs<T>& outputs) {
    const PixelBox limits = binning.grid().box(tile_id);
    if (binning.is_empty(tile_id)) return outputs.write_background(limits);
    tile.clear();
    binning.for_each_face(tile_id, [&](int32_t face, const PixelBox& box) {
        const Corners<T> corners(mesh, face);
        Triangle<T> tri;
        if (!setup_triangle(corners.p, corners.id, tri)) return;
        tile.triangles.push_back(tri);
        tile.faces.push_back(face);
        const PixelBox inside{box.x0 - limits.x0, box.y0 - limits.y0, box.x1 - limits.x0, box.y1 - limits.y0};
        draw(tile, tri, int32_t(tile.faces.size()) - 1, inside, limits.x0, limits.y0);
    });
    outputs.write(tile, limits);
}

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
void rasterize(const Shape& shape, const T* v_pix, const int32_t* faces, int32_t* index_img, T* bary, T* depth,
               int threads) {
    check_faces(shape, faces);
    const TileGrid grid(shape.width, shape.height);
    const int64_t pixels = int64_t(shape.width) * shape.height;
    threads = std::max(threads, 1);
    for (int64_t image = 0; image < shape.images; ++image) {
        const Mesh<T, T> mesh{v_pix + 3 * image * shape.vertices, faces};
        const Outputs<T> outputs{index_img + image * pixels, bary + 3 * image * pixels, depth + image * pixels,
                                 shape.width};
        Binning<T> binning(mesh, shape, grid, threads);
        binning.place_vertices();
        parallel_for(binning.chunks(), threads, [&](int64_t chunk) { binning.fill(chunk); });
        std::atomic<int64_t> next{0};
        run_workers(int(std::min<int64_t>(threads, std::max<int64_t>(grid.count(), 1))), [&](int) {
            Tile<T> tile;
            for (int64_t i = next++; i < grid.count(); i = next++)
                draw_tile_clones(mesh, binning, i, tile, outputs);
        });
    }
}

#define HEADFIT_INSTANTIATE(T) \
    template void rasterize<T>(const Shape&, const T*, const int32_t*, int32_t*, T*, T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
