// Visibility by an atomic minimum over depth, then one thread per pixel writes the outputs.
// 1. draw_faces: one thread per face draws the face if its box is small, else queues the tiles of the box.
// 2. draw_tiles: one warp per queued tile, one lane per column.
// 3. resolve: barycentrics and depth of the visible face, once per pixel.
// Arithmetic and order of operations are those of the CPU, and nothing is contracted into fused multiply-adds, so
// indices, depths and barycentrics are identical bit for bit.
#include "core/triangle.h"
#include "cuda/atomics.h"
#include "cuda/cuda.h"

namespace headfit {
namespace cuda {
namespace {

constexpr int kTile = 32;       // columns: one for each lane of a warp
constexpr int kSmallBox = 256;  // pixels
constexpr int kThreads = 128;
constexpr int kResidentBlocks = 4;  // per multiprocessor, at least: without this bound the compiler spills registers
constexpr int kItemsPerTile = 128;      // capacity of the queue per tile of the image: a byte per pixel
constexpr unsigned kMaxBlocks = 1024;   // of draw_tiles: enough for any GPU, since each strides over the queue

// Depth and face in one word, ordered by depth and, at equal depth, by face: the bits of positive floats are ordered
// like the numbers.
struct DepthAndFace {
    Bits64* words;  // [B,H,W], all ones for background

    __device__ void put(int64_t pixel, float depth, int32_t face) const {
        atomicMin(words + pixel, Bits64(bits_of(depth)) << 32 | unsigned(face));
    }
    __device__ int32_t face(int64_t pixel) const { return int32_t(unsigned(words[pixel])); }
};

// A double fills the word, so this takes two passes: the smallest depth, then the first face at that depth.
struct Depth {
    Bits64* words;

    __device__ void put(int64_t pixel, double depth, int32_t) const { atomicMin(words + pixel, bits_of(depth)); }
};

struct FaceAtDepth {
    const Bits64* words;
    unsigned* faces;  // index_img; -1 is the largest unsigned number

    __device__ void put(int64_t pixel, double depth, int32_t face) const {
        if (bits_of(depth) == words[pixel]) atomicMin(faces + pixel, unsigned(face));
    }
    __device__ int32_t face(int64_t pixel) const { return int32_t(faces[pixel]); }
};

// Tiles of large faces to draw. A thread that finds the queue full draws its tile directly.
struct TileQueue {
    struct Item {
        int32_t face, tile;  // tiles are numbered over all images
    };
    Bits64* count;  // items requested, which may exceed the capacity
    Item* items;
    Bits64 capacity;
};

struct Tiles {
    int columns, rows;

    explicit Tiles(const Sizes& sizes)
        : columns((sizes.width + kTile - 1) / kTile), rows((sizes.height + kTile - 1) / kTile) {}
    HEADFIT_HD int64_t per_image() const { return int64_t(columns) * rows; }
};

template <class T>
struct Face {
    Triangle<Three<T>> triangle;
    PixelBox box;  // empty if the face cannot be visible

    __device__ Face(const Mesh<T, T>& mesh, int32_t face, int width, int height) {
        const int32_t id[3] = {mesh.vertex_id(face, 0), mesh.vertex_id(face, 1), mesh.vertex_id(face, 2)};
        const Corners<Three<T>> p(mesh, id);
        box = pixel_box(p, width, height);
        if (!box.empty() && !setup_triangle(p, id, triangle)) box = {0, 0, 0, 0};
    }
};

__device__ inline PixelBox overlap(const PixelBox& a, const PixelBox& b) {
    return {a.x0 > b.x0 ? a.x0 : b.x0, a.y0 > b.y0 ? a.y0 : b.y0, a.x1 < b.x1 ? a.x1 : b.x1, a.y1 < b.y1 ? a.y1 : b.y1};
}

__device__ inline PixelBox tile_box(int column, int row) {
    return {column * kTile, row * kTile, (column + 1) * kTile, (row + 1) * kTile};
}

// Draws the pixels of a box. pixels: the index of the image's first pixel.
template <class T, class Target>
__device__ void draw(const Triangle<Three<T>>& tri, int32_t face, const PixelBox& box, int64_t pixels, int width,
                     const Target& target) {
    for (int y = box.y0; y < box.y1; ++y)
        for (int x = box.x0; x < box.x1; ++x) {
            const Three<T> t = tri.edges(T(x) + T(0.5), T(y) + T(0.5));
            if (!all(t >= tri.threshold)) continue;
            const T z = depth_at(tri, t);
            if (z > T(kNear) && z < std::numeric_limits<T>::infinity())
                target.put(pixels + int64_t(y) * width + x, z, face);
        }
}

template <class T, class Target>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    draw_faces(Scene<T> scene, Tiles tiles, Target target, TileQueue queue) {
    const Sizes& sizes = scene.sizes;
    const int64_t id = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (id >= sizes.faces) return;
    const int32_t image = int32_t(blockIdx.y), face = int32_t(id);
    const int64_t pixels = int64_t(image) * sizes.height * sizes.width;
    const Face<T> f(scene.template mesh<T>(image), face, sizes.width, sizes.height);
    const PixelBox& box = f.box;
    if (box.empty()) return;
    const int64_t area = int64_t(box.x1 - box.x0) * (box.y1 - box.y0);
    const int c0 = box.x0 / kTile, columns = (box.x1 - 1) / kTile - c0 + 1;
    const int r0 = box.y0 / kTile, rows = (box.y1 - 1) / kTile - r0 + 1;
    const bool large = area > kSmallBox;
    const int parts = large ? columns * rows : 1;
    const Bits64 first = large ? atomicAdd(queue.count, Bits64(parts)) : 0;
    for (int i = 0; i < parts; ++i) {
        const int column = c0 + i % columns, row = r0 + i / columns;
        if (large && first + i < queue.capacity)
            queue.items[first + i] = {face, int32_t(image * tiles.per_image()) + row * tiles.columns + column};
        else
            draw(f.triangle, face, large ? overlap(box, tile_box(column, row)) : box, pixels, sizes.width, target);
    }
}

template <class T, class Target>
__global__ void __launch_bounds__(kThreads, kResidentBlocks)
    draw_tiles(Scene<T> scene, Tiles tiles, Target target, TileQueue queue) {
    const Sizes& sizes = scene.sizes;
    const int lane = int(threadIdx.x % kTile);
    const Bits64 requested = *queue.count, count = requested < queue.capacity ? requested : queue.capacity;
    const Bits64 step = Bits64(gridDim.x) * (blockDim.x / kTile);
    for (Bits64 i = Bits64(blockIdx.x) * (blockDim.x / kTile) + threadIdx.x / kTile; i < count; i += step) {
        const auto [face, tile] = queue.items[i];
        const int per_image = int(tiles.per_image()), image = tile / per_image, place = tile % per_image;
        const Face<T> f(scene.template mesh<T>(image), face, sizes.width, sizes.height);
        const PixelBox part = overlap(f.box, tile_box(place % tiles.columns, place / tiles.columns));
        if (!may_touch(f.triangle, part)) continue;
        const int x = place % tiles.columns * kTile + lane;
        const PixelBox column = overlap(part, {x, part.y0, x + 1, part.y1});
        draw(f.triangle, face, column, int64_t(image) * sizes.height * sizes.width, sizes.width, target);
    }
}

template <class T, class Seen>
__global__ void __launch_bounds__(kBlock) resolve(Scene<T> scene, Seen seen, Raster<T> out) {
    const Sizes& sizes = scene.sizes;
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    const int64_t image = blockIdx.z;
    if (x >= sizes.width || y >= sizes.height) return;
    const int64_t pixel = (image * sizes.height + y) * sizes.width + x;
    const int32_t face = seen.face(pixel);
    Three<T> b;
    T z = 0;
    if (face >= 0) {
        const Face<T> f(scene.template mesh<T>(image), face, sizes.width, sizes.height);
        const T qx = T(x) + T(0.5), qy = T(y) + T(0.5);
        z = depth_at(f.triangle, f.triangle.edges(qx, qy));
        b = bary_at(f.triangle, qx, qy);
    }
    out.index_img[pixel] = face;
    out.depth[pixel] = z;
    for (int k = 0; k < 3; ++k) out.bary[3 * pixel + k] = b[k];
}

int64_t pixels_of(const Sizes& sizes) { return sizes.images * sizes.pixels(); }

template <class T, class Target>
void draw_all(const Scene<T>& scene, const Target& target, const TileQueue& tiles, const Queue& queue) {
    const Sizes& sizes = scene.sizes;
    fill_bytes(tiles.count, 0, sizeof(Bits64), queue);
    const dim3 grid(blocks_for(sizes.faces, kThreads), unsigned(sizes.images));
    launch(draw_faces<T, Target>, grid, dim3(kThreads), queue, scene, Tiles(sizes), target, tiles);
    const unsigned blocks = blocks_for(int64_t(tiles.capacity) * kTile, kThreads);
    launch(draw_tiles<T, Target>, dim3(blocks < kMaxBlocks ? blocks : kMaxBlocks), dim3(kThreads), queue, scene,
           Tiles(sizes), target, tiles);
}

void draw_and_resolve(const Scene<float>& scene, const Raster<float>& out, Bits64* words, const TileQueue& tiles, dim3 grid,
                      const Queue& queue) {
    const DepthAndFace target{words};
    draw_all(scene, target, tiles, queue);
    launch(resolve<float, DepthAndFace>, grid, dim3(kBlockX, kBlockY), queue, scene, target, out);
}

void draw_and_resolve(const Scene<double>& scene, const Raster<double>& out, Bits64* words, const TileQueue& tiles, dim3 grid,
                      const Queue& queue) {
    fill_bytes(out.index_img, 0xff, pixels_of(scene.sizes) * int64_t(sizeof(int32_t)), queue);
    const FaceAtDepth target{words, reinterpret_cast<unsigned*>(out.index_img)};
    draw_all(scene, Depth{words}, tiles, queue);
    draw_all(scene, target, tiles, queue);
    launch(resolve<double, FaceAtDepth>, grid, dim3(kBlockX, kBlockY), queue, scene, target, out);
}

}  // namespace

int64_t rasterize_bytes(const Sizes& sizes) {
    return 8 * (pixels_of(sizes) + 1 + sizes.images * Tiles(sizes).per_image() * kItemsPerTile);
}

template <class T>
void rasterize(const Scene<T>& scene, const Raster<T>& out, const Queue& queue) {
    const int64_t pixels = pixels_of(scene.sizes);
    if (pixels == 0) return;
    const dim3 grid = grid_of(scene.sizes.width, scene.sizes.height, scene.sizes.images);
    if (queue.workspace_bytes < 8 * (pixels + 1)) throw std::invalid_argument("rasterize: the workspace is too small");
    if (scene.sizes.images * Tiles(scene.sizes).per_image() > std::numeric_limits<int32_t>::max())
        throw std::invalid_argument("rasterize: too many pixels for one call");
    Bits64* words = static_cast<Bits64*>(queue.workspace);
    fill_bytes(words, 0xff, 8 * pixels, queue);
    TileQueue::Item* items = reinterpret_cast<TileQueue::Item*>(words + pixels + 1);
    const TileQueue tiles{words + pixels, items, Bits64(queue.workspace_bytes / 8 - pixels - 1)};
    draw_and_resolve(scene, out, words, tiles, grid, queue);
}

template void rasterize<float>(const Scene<float>&, const Raster<float>&, const Queue&);
template void rasterize<double>(const Scene<double>&, const Raster<double>&, const Queue&);

}  // namespace cuda
}  // namespace headfit
