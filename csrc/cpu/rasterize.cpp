// Tiles of pixels, each with its depth buffer in the first-level cache and owned by one thread at a time.
// 1. Faces are sorted into the tiles they may cover: chunks of consecutive faces in parallel, each with bins of
//    its own, so that nothing is shared and the faces of a tile are met in ascending order.
// 2. Each tile draws the faces of its bins, chunk after chunk. Ascending order and a strict depth test make the
//    lower face win a tie, whatever the number of threads.
#include <vector>

#include "core/triangle.h"
#include "cpu/check.h"
#include "cpu/cpu.h"
#include "cpu/lanes.h"
#include "cpu/parallel.h"
#include "cpu/vertex_sums.h"

namespace headfit {
namespace {

constexpr int kTile = 32;
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
    using L = Lanes<T>;
    static constexpr int kPadded = kTile + kLanes - 1;  // lanes that start in the tile may end beyond it
    T depth[kTile][kPadded];
    T weight[3][kTile][kPadded];  // barycentrics times their sum
    int32_t face[kTile][kPadded];

    void clear() {
        for (int y = 0; y < kTile; ++y)
            for (int x = 0; x < kPadded; ++x) {
                depth[y][x] = std::numeric_limits<T>::infinity();
                face[y][x] = -1;
                for (auto& w : weight) w[y][x] = 0;
            }
    }

    // The columns x .. x + kLanes - 1 of the tile, in rows [y0, y1); (qx, qy) is the first pixel's centre.
    void draw_columns(const Triangle<T>& tri, int32_t id, int x, int y0, int y1, T qx, T qy) {
        const typename L::Vector px = {qx, qx + 1, qx + 2, qx + 3};
        typename L::Vector along_x[3];
        for (int k = 0; k < 3; ++k) along_x[k] = tri.a[k] * (px - tri.x[k]);
        for (int y = y0; y < y1; ++y, qy += 1) draw_lanes(tri, id, along_x, x, y, qy);
    }

    void draw_lanes(const Triangle<T>& tri, int32_t id, const typename L::Vector along_x[3], int x, int y, T qy) {
        typename L::Vector t[3], nearest;
        for (int k = 0; k < 3; ++k) t[k] = along_x[k] + tri.b[k] * (qy - tri.y[k]);
        typename L::Mask wins = (t[0] >= tri.threshold[0]) & (t[1] >= tri.threshold[1]) & (t[2] >= tri.threshold[2]);
        if (!L::any(wins)) return;
        const typename L::Vector z = (t[0] * tri.side[0] + t[1] * tri.side[1] + t[2] * tri.side[2]) /
                                     (t[0] * tri.abs_w[0] + t[1] * tri.abs_w[1] + t[2] * tri.abs_w[2]);
        std::memcpy(&nearest, &depth[y][x], sizeof(nearest));
        wins &= (z > T(kNear)) & (z < nearest);
        if (!L::any(wins)) return;
        L::store(wins, z, &depth[y][x]);
        for (int k = 0; k < 3; ++k) L::store(wins, t[k] * tri.abs_w[k], &weight[k][y][x]);
        L::store(wins, id, &face[y][x]);
    }

    void draw(const Mesh<T, T>& mesh, int32_t id, const PixelBox& tile, int width, int height) {
        const Corners<T> corners(mesh, id);
        Triangle<T> tri;
        if (!setup_triangle(corners.p, corners.id, tri)) return;
        const PixelBox box = pixel_box(corners.p, width, height);
        const int x0 = std::max(box.x0, tile.x0) - tile.x0, x1 = std::min(box.x1, tile.x1) - tile.x0;
        const int y0 = std::max(box.y0, tile.y0) - tile.y0, y1 = std::min(box.y1, tile.y1) - tile.y0;
        for (int x = x0; x < x1; x += kLanes)
            draw_columns(tri, id, x, y0, y1, T(tile.x0 + x) + T(0.5), T(tile.y0 + y0) + T(0.5));
    }

    void write(const PixelBox& tile, int width, int32_t* index_img, T* bary_img, T* depth_img) const {
        for (int y = tile.y0; y < tile.y1; ++y)
            for (int x = tile.x0; x < tile.x1; ++x) {
                const int ty = y - tile.y0, tx = x - tile.x0;
                const int64_t pixel = int64_t(y) * width + x;
                index_img[pixel] = face[ty][tx];
                depth_img[pixel] = face[ty][tx] < 0 ? T(0) : depth[ty][tx];
                const T sum = weight[0][ty][tx] + weight[1][ty][tx] + weight[2][ty][tx];
                for (int k = 0; k < 3; ++k) bary_img[3 * pixel + k] = sum > 0 ? weight[k][ty][tx] / sum : T(0);
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
