// Tiles of pixels, each with its depth buffer in the first-level cache and owned by one thread at a time.
// 1. Faces are sorted into the tiles they may cover: chunks of consecutive faces in parallel, each with bins of
//    its own, so that nothing is shared and the faces of a tile are met in ascending order.
// 2. Each tile draws the faces of its bins, chunk after chunk. Ascending order and a strict depth test make the
//    lower face win a tie, whatever the number of threads.
#include <vector>

#include "core/triangle.h"
#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/parallel.h"
#include "cpu/vertex_sums.h"

namespace headfit {
namespace {

constexpr int kTile = 32;
constexpr int kLanes = 4;  // pixels of a row handled together; the compiler makes vector code of such loops
constexpr int kChunk = 4096;
constexpr int kManyTiles = 4;  // a box of more tiles than this is worth testing tile by tile

struct TileGrid {
    int columns, rows, width, height;

    TileGrid(int width, int height)
        : columns((width + kTile - 1) / kTile), rows((height + kTile - 1) / kTile), width(width), height(height) {}

    int64_t count() const { return int64_t(columns) * rows; }

    PixelBox box(int column, int row) const {
        const int x = column * kTile, y = row * kTile;
        return {x, y, std::min(x + kTile, width), std::min(y + kTile, height)};
    }
};

// Faces of one chunk, by tile: those of tile i are faces[start[i]] .. faces[start[i + 1]].
struct Bins {
    std::vector<int32_t> start, faces;
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

template <class T, class Visit>
void visit_tiles(const Mesh<T, T>& mesh, int32_t face, const TileGrid& grid, const Visit& visit) {
    const Corners<T> corners(mesh, face);
    const PixelBox box = pixel_box(corners.p, grid.width, grid.height);
    if (box.empty()) return;
    const int c0 = box.x0 / kTile, c1 = (box.x1 - 1) / kTile, r0 = box.y0 / kTile, r1 = (box.y1 - 1) / kTile;
    const bool test = int64_t(c1 - c0 + 1) * (r1 - r0 + 1) > kManyTiles;
    Triangle<T> tri{};  // set up only if tested
    if (test && !setup_triangle(corners.p, corners.id, tri)) return;
    for (int row = r0; row <= r1; ++row)
        for (int column = c0; column <= c1; ++column)
            if (!test || may_touch(tri, grid.box(column, row))) visit(int64_t(row) * grid.columns + column);
}

template <class T>
void fill_bins(const Mesh<T, T>& mesh, int32_t begin, int32_t end, const TileGrid& grid, Bins& bins) {
    std::vector<std::pair<int32_t, int32_t>> found;  // (tile, face)
    found.reserve(end - begin);
    bins.start.assign(grid.count() + 1, 0);
    for (int32_t face = begin; face < end; ++face)
        visit_tiles(mesh, face, grid, [&](int64_t tile) {
            found.emplace_back(int32_t(tile), face);
            ++bins.start[tile + 1];
        });
    for (int64_t tile = 0; tile < grid.count(); ++tile) bins.start[tile + 1] += bins.start[tile];
    bins.faces.resize(found.size());
    std::vector<int32_t> slot(bins.start.begin(), bins.start.end() - 1);
    for (const auto& [tile, face] : found) bins.faces[slot[tile]++] = face;
}

template <class T>
struct Tile {
    alignas(64) T depth[kTile][kTile];
    alignas(64) T bary[3][kTile][kTile];
    alignas(64) int32_t face[kTile][kTile];

    void clear() {
        for (int y = 0; y < kTile; ++y)
            for (int x = 0; x < kTile; ++x) {
                depth[y][x] = std::numeric_limits<T>::infinity();
                face[y][x] = -1;
                for (auto& b : bary) b[y][x] = 0;
            }
    }

    // The kLanes pixels from (x, y) of the tile on; (qx, qy) is the first one's centre.
    void draw_lanes(const Triangle<T>& tri, int32_t id, int x, int y, T qx, T qy) {
        T t[3][kLanes], F[3][kLanes], S[kLanes], z[kLanes];
        bool wins[kLanes], any = false;
        for (int l = 0; l < kLanes; ++l)
            for (int k = 0; k < 3; ++k) t[k][l] = tri.edge(k, qx + T(l), qy);
        for (int l = 0; l < kLanes; ++l) {
            wins[l] = (t[0][l] >= tri.threshold[0]) & (t[1][l] >= tri.threshold[1]) & (t[2][l] >= tri.threshold[2]);
            any |= wins[l];
        }
        if (!any) return;
        for (int l = 0; l < kLanes; ++l) {
            for (int k = 0; k < 3; ++k) F[k][l] = t[k][l] * tri.abs_w[k];
            S[l] = 1 / (F[0][l] + F[1][l] + F[2][l]);
            z[l] = (t[0][l] * tri.side[0] + t[1][l] * tri.side[1] + t[2][l] * tri.side[2]) * S[l];
            wins[l] = wins[l] & (z[l] > T(kNear)) & (z[l] < depth[y][x + l]);
        }
        for (int l = 0; l < kLanes; ++l) {
            depth[y][x + l] = wins[l] ? z[l] : depth[y][x + l];
            face[y][x + l] = wins[l] ? id : face[y][x + l];
            for (int k = 0; k < 3; ++k) bary[k][y][x + l] = wins[l] ? F[k][l] * S[l] : bary[k][y][x + l];
        }
    }

    void draw(const Mesh<T, T>& mesh, int32_t id, const PixelBox& tile, int width, int height) {
        const Corners<T> corners(mesh, id);
        Triangle<T> tri;
        if (!setup_triangle(corners.p, corners.id, tri)) return;
        const PixelBox box = pixel_box(corners.p, width, height);
        const int x0 = (std::max(box.x0, tile.x0) - tile.x0) & ~(kLanes - 1), x1 = std::min(box.x1, tile.x1) - tile.x0;
        const int y0 = std::max(box.y0, tile.y0) - tile.y0, y1 = std::min(box.y1, tile.y1) - tile.y0;
        for (int y = y0; y < y1; ++y)
            for (int x = x0; x < x1; x += kLanes)
                draw_lanes(tri, id, x, y, T(tile.x0 + x) + T(0.5), T(tile.y0 + y) + T(0.5));
    }

    void write(const PixelBox& tile, int width, int32_t* index_img, T* bary_img, T* depth_img) const {
        for (int y = tile.y0; y < tile.y1; ++y)
            for (int x = tile.x0; x < tile.x1; ++x) {
                const int ty = y - tile.y0, tx = x - tile.x0;
                const int64_t pixel = int64_t(y) * width + x;
                index_img[pixel] = face[ty][tx];
                depth_img[pixel] = face[ty][tx] < 0 ? T(0) : depth[ty][tx];
                for (int k = 0; k < 3; ++k) bary_img[3 * pixel + k] = bary[k][ty][tx];
            }
    }
};

}  // namespace

template <class T>
void rasterize(const Shape& shape, const T* v_pix, const int32_t* faces, int32_t* index_img, T* bary, T* depth,
               int threads) {
    check_faces(shape, faces);
    const TileGrid grid(shape.width, shape.height);
    const int64_t chunks = (shape.faces + kChunk - 1) / kChunk, pixels = int64_t(shape.width) * shape.height;
    const auto mesh = [&](int64_t image) { return Mesh<T, T>{v_pix + 3 * image * shape.vertices, faces}; };

    std::vector<Bins> bins(shape.images * chunks);
    parallel_for(shape.images * chunks, threads, [&](int64_t i) {
        const int64_t begin = i % chunks * kChunk, end = std::min(begin + kChunk, shape.faces);
        fill_bins(mesh(i / chunks), int32_t(begin), int32_t(end), grid, bins[i]);
    });
    parallel_for(shape.images * grid.count(), threads, [&](int64_t i) {
        const int64_t image = i / grid.count(), tile_id = i % grid.count();
        const PixelBox box = grid.box(int(tile_id % grid.columns), int(tile_id / grid.columns));
        Tile<T> tile;
        tile.clear();
        for (int64_t chunk = 0; chunk < chunks; ++chunk) {
            const Bins& bin = bins[image * chunks + chunk];
            for (int32_t f = bin.start[tile_id]; f < bin.start[tile_id + 1]; ++f)
                tile.draw(mesh(image), bin.faces[f], box, shape.width, shape.height);
        }
        const int64_t base = image * pixels;
        tile.write(box, shape.width, index_img + base, bary + 3 * base, depth + base);
    });
}

template <class T>
void rasterize_backward(const Shape& shape, const T* v_pix, const int32_t* faces, const int32_t* index_img,
                        const T* grad_bary, const T* grad_depth, T* grad_v, int threads) {
    check_faces(shape, faces);
    check_index_img(shape, index_img);
    const int64_t pixels = int64_t(shape.width) * shape.height;
    VertexSums sums(shape.vertices, 3, threads);
    for (int64_t image = 0; image < shape.images; ++image) {
        const Mesh<double, T> mesh{v_pix + 3 * image * shape.vertices, faces};
        sums.add_rows(shape.height, [&](int y, double* sum) {
            for (int x = 0; x < shape.width; ++x) {
                const int64_t pixel = image * pixels + int64_t(y) * shape.width + x;
                const int32_t face = index_img[pixel];
                if (face < 0) continue;
                const Vec3<double> p[3] = {mesh.corner(face, 0), mesh.corner(face, 1), mesh.corner(face, 2)};
                const T* g = grad_bary + 3 * pixel;
                const double grad_b[3] = {double(g[0]), double(g[1]), double(g[2])};
                Vec3<double> grad[3] = {};
                bary_depth_backward(p, {x + 0.5, y + 0.5}, grad_b, double(grad_depth[pixel]), grad);
                for (int k = 0; k < 3; ++k) {
                    double* s = sum + 3 * int64_t(mesh.vertex_id(face, k));
                    s[0] += grad[k].x;
                    s[1] += grad[k].y;
                    s[2] += grad[k].z;
                }
            }
        });
        sums.move_to(grad_v + 3 * image * shape.vertices);
    }
}

#define HEADFIT_INSTANTIATE(T)                                                                                   \
    template void rasterize<T>(const Shape&, const T*, const int32_t*, int32_t*, T*, T*, int);                   \
    template void rasterize_backward<T>(const Shape&, const T*, const int32_t*, const int32_t*, const T*, const T*, \
                                        T*, int);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace headfit
