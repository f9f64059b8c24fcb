// Visibility by atomic minimum over depth, then one thread per pixel to write what is seen.
// 1. draw_faces: a thread per face draws the face itself if its box is small, else it queues the tiles of the box.
// 2. draw_tiles: a warp per queued tile, a lane per column.
// 3. resolve: barycentrics and depth, once per pixel, of the face that won.
// Arithmetic and order of operations are those of the CPU, and this file is compiled without contraction into fused
// multiply-adds, so indices, depths and barycentrics are the same bit for bit.
#include "core/triangle.h"
#include "cuda/atomics.h"
#include "cuda/cuda.h"

namespace headfit {
namespace cuda {
namespace {

constexpr int kTile = 32;  // columns: one for each lane of a warp
constexpr int kSmallBox = 256;  // pixels
constexpr int kThreads = 128;
constexpr int kBlocksPerUnit = 4;  // at least, of a multiprocessor: without a wish the compiler saves registers and spills
constexpr int kItemsPerTile = 128;  // of the queue: a byte per pixel
constexpr unsigned kMostBlocks = 1024;  // of draw_tiles: enough for any card, each strides over the queue

// Depth and face in one word, which orders by depth and, at equal depth, by face: bits of positive floats order like
// the numbers.
struct DepthAndFace {
    Bits64* words;  // [B,H,W], all ones for background

    __device__ void put(int64_t pixel, float depth, int32_t face) const {
        atomicMin(words + pixel, Bits64(bits_of(depth)) << 32 | unsigned(face));
    }
    __device__ int32_t face(int64_t pixel) const { return int32_t(unsigned(words[pixel])); }
};

// A double fills the word: first the least depth, then among the faces at that depth the first.
struct Depth {
    Bits64* words;

    __device__ void put(int64_t pixel, double depth, int32_t) const { atomicMin(words + pixel, bits_of(depth)); }
};

struct FaceAtDepth {
    const Bits64* words;
    unsigned* faces;  // index_img: -1 is the greatest unsigned number

    __device__ void put(int64_t pixel, double depth, int32_t face) const {
        if (bits_of(depth) == words[pixel]) atomicMin(faces + pixel, unsigned(face));
    }
    __device__ int32_t face(int64_t pixel) const { return int32_t(faces[pixel]); }
};

// Parts of large faces, waiting to be drawn. Who finds it full draws his part himself.
struct TileQueue {
    struct Item {
        int32_t face, tile;  // tiles counted over all images
    };
    Bits64* count;  // asked for, may exceed the capacity
    Item* items;
    Bits64 capacity;
};

struct Tiles {
    int columns, rows;

    explicit Tiles(const Shape& shape)
        : columns((shape.width + kTile - 1) / kTile), rows((shape.height + kTile - 1) / kTile) {}
    HEADFIT_HD int per_image() const { return columns * rows; }
};

template <class T>
struct Face {
    Triangle<Three<T>> triangle;
    PixelBox box;  // empty if nothing can be seen of the face

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

// pixels: before the first of the image.
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
__global__ void __launch_bounds__(kThreads, kBlocksPerUnit)
    draw_faces(Shape shape, Tiles tiles, const T* v_pix, const int32_t* faces, Target target, TileQueue queue) {
    const int64_t id = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (id >= shape.faces) return;
    const int32_t image = int32_t(blockIdx.y), face = int32_t(id);
    const int64_t pixels = int64_t(image) * shape.height * shape.width;
    const Face<T> f({v_pix + 3 * image * shape.vertices, faces}, face, shape.width, shape.height);
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
            queue.items[first + i] = {face, image * tiles.per_image() + row * tiles.columns + column};
        else
            draw(f.triangle, face, large ? overlap(box, tile_box(column, row)) : box, pixels, shape.width, target);
    }
}

template <class T, class Target>
__global__ void __launch_bounds__(kThreads, kBlocksPerUnit)
    draw_tiles(Shape shape, Tiles tiles, const T* v_pix, const int32_t* faces, Target target, TileQueue queue) {
    const int lane = int(threadIdx.x % kTile);
    const Bits64 asked = *queue.count, count = asked < queue.capacity ? asked : queue.capacity;
    const Bits64 step = Bits64(gridDim.x) * (blockDim.x / kTile);
    for (Bits64 i = Bits64(blockIdx.x) * (blockDim.x / kTile) + threadIdx.x / kTile; i < count; i += step) {
        const auto [face, tile] = queue.items[i];
        const int image = tile / tiles.per_image(), place = tile % tiles.per_image();
        const Face<T> f({v_pix + 3 * image * shape.vertices, faces}, face, shape.width, shape.height);
        const PixelBox part = overlap(f.box, tile_box(place % tiles.columns, place / tiles.columns));
        if (!may_touch(f.triangle, part)) continue;
        const int x = place % tiles.columns * kTile + lane;
        const PixelBox column = overlap(part, {x, part.y0, x + 1, part.y1});
        draw(f.triangle, face, column, int64_t(image) * shape.height * shape.width, shape.width, target);
    }
}

template <class T, class Seen>
__global__ void __launch_bounds__(kBlock) resolve(Shape shape, const T* v_pix, const int32_t* faces, Seen seen,
                                                  int32_t* index_img, T* bary, T* depth) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    const int64_t image = blockIdx.z;
    if (x >= shape.width || y >= shape.height) return;
    const int64_t pixel = (image * shape.height + y) * shape.width + x;
    const int32_t face = seen.face(pixel);
    Three<T> b;
    T z = 0;
    if (face >= 0) {
        const Face<T> f({v_pix + 3 * image * shape.vertices, faces}, face, shape.width, shape.height);
        const T qx = T(x) + T(0.5), qy = T(y) + T(0.5);
        z = depth_at(f.triangle, f.triangle.edges(qx, qy));
        b = bary_at(f.triangle, qx, qy);
    }
    index_img[pixel] = face;
    depth[pixel] = z;
    for (int k = 0; k < 3; ++k) bary[3 * pixel + k] = b[k];
}

int64_t pixels_of(const Shape& shape) { return shape.images * shape.height * shape.width; }

template <class T, class Target>
void draw_all(const Shape& shape, const T* v_pix, const int32_t* faces, const Target& target, const TileQueue& tiles,
              const Queue& queue) {
    fill_bytes(tiles.count, 0, sizeof(Bits64), queue);
    const dim3 grid(blocks_for(shape.faces, kThreads), unsigned(shape.images));
    launch(draw_faces<T, Target>, grid, dim3(kThreads), queue, shape, Tiles(shape), v_pix, faces, target, tiles);
    const unsigned blocks = blocks_for(int64_t(tiles.capacity) * kTile, kThreads);
    launch(draw_tiles<T, Target>, dim3(blocks < kMostBlocks ? blocks : kMostBlocks), dim3(kThreads), queue, shape,
           Tiles(shape), v_pix, faces, target, tiles);
}

void draw_and_resolve(const Shape& shape, const float* v_pix, const int32_t* faces, Bits64* words,
                      const TileQueue& tiles, int32_t* index_img, float* bary, float* depth, const Queue& queue) {
    const DepthAndFace target{words};
    draw_all(shape, v_pix, faces, target, tiles, queue);
    launch(resolve<float, DepthAndFace>, grid_of(shape.width, shape.height, shape.images), dim3(kBlockX, kBlockY),
           queue, shape, v_pix, faces, target, index_img, bary, depth);
}

void draw_and_resolve(const Shape& shape, const double* v_pix, const int32_t* faces, Bits64* words,
                      const TileQueue& tiles, int32_t* index_img, double* bary, double* depth, const Queue& queue) {
    fill_bytes(index_img, 0xff, pixels_of(shape) * int64_t(sizeof(int32_t)), queue);
    const FaceAtDepth target{words, reinterpret_cast<unsigned*>(index_img)};
    draw_all(shape, v_pix, faces, Depth{words}, tiles, queue);
    draw_all(shape, v_pix, faces, target, tiles, queue);
    launch(resolve<double, FaceAtDepth>, grid_of(shape.width, shape.height, shape.images), dim3(kBlockX, kBlockY),
           queue, shape, v_pix, faces, target, index_img, bary, depth);
}

}  // namespace

int64_t rasterize_bytes(const Shape& shape) {
    return 8 * (pixels_of(shape) + 1 + shape.images * Tiles(shape).per_image() * kItemsPerTile);
}

template <class T>
void rasterize(const Shape& shape, const T* v_pix, const int32_t* faces, void* workspace, int64_t bytes,
               int32_t* index_img, T* bary, T* depth, const Queue& queue) {
    const int64_t pixels = pixels_of(shape);
    if (pixels == 0) return;
    if (bytes < 8 * (pixels + 1)) throw std::invalid_argument("rasterize: the workspace is too small");
    if (shape.images * Tiles(shape).per_image() > std::numeric_limits<int32_t>::max())
        throw std::invalid_argument("rasterize: too many pixels for one call");
    Bits64* words = static_cast<Bits64*>(workspace);
    fill_bytes(words, 0xff, 8 * pixels, queue);
    TileQueue::Item* items = reinterpret_cast<TileQueue::Item*>(words + pixels + 1);
    const TileQueue tiles{words + pixels, items, Bits64(bytes / 8 - pixels - 1)};
    draw_and_resolve(shape, v_pix, faces, words, tiles, index_img, bary, depth, queue);
}

#define HEADFIT_INSTANTIATE(T)                                                                                   \
    template void rasterize<T>(const Shape&, const T*, const int32_t*, void*, int64_t, int32_t*, T*, T*, const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
