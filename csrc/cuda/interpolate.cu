// Neighbouring threads take neighbouring channels: reads and writes of images are whole sectors for any number of
// channels, and so are the gathers from and the atomics to a vertex' row.
#include "core/mesh.h"
#include "cuda/cuda.h"
#include "cuda/vertex_sums.h"

namespace headfit {
namespace cuda {
namespace {

constexpr int kRun = 8;  // pixels of a column that add to the attributes together

template <class T>
struct Attributes {
    const T* values;  // [B,V,C], or [V,C] if shared
    const int32_t* faces;
    int channels;
    bool shared;

    // First value of the vertex' row.
    __device__ int64_t row(const Shape& shape, int64_t image, int32_t face, int k) const {
        const int64_t vertex = faces[3 * int64_t(face) + k];
        return ((shared ? 0 : image * shape.vertices) + vertex) * channels;
    }
};

template <class T>
__global__ void __launch_bounds__(kBlock)
    blend(Shape shape, Attributes<T> attributes, const int32_t* index_img, const T* bary, T* out) {
    const int e = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    const int64_t image = blockIdx.z;
    if (e >= shape.width * attributes.channels || y >= shape.height) return;
    const int x = e / attributes.channels, c = e % attributes.channels;
    const int64_t pixel = (image * shape.height + y) * shape.width + x;
    const int32_t face = index_img[pixel];
    T value = 0;
    if (face >= 0 && face < shape.faces) {
        const T* b = bary + 3 * pixel;
        const T* v = attributes.values + c;
        value = b[0] * v[attributes.row(shape, image, face, 0)] + b[1] * v[attributes.row(shape, image, face, 1)] +
                b[2] * v[attributes.row(shape, image, face, 2)];
    }
    out[pixel * attributes.channels + c] = value;
}

template <class T>
__global__ void __launch_bounds__(kBlock) to_bary(Shape shape, Attributes<T> attributes, const int32_t* index_img,
                                                  const T* grad_image, T* grad_bary) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    const int64_t image = blockIdx.z;
    if (x >= shape.width || y >= shape.height) return;
    const int64_t pixel = (image * shape.height + y) * shape.width + x;
    const int32_t face = index_img[pixel];
    T total[3] = {0, 0, 0};
    if (face >= 0 && face < shape.faces) {
        const T *v0 = attributes.values + attributes.row(shape, image, face, 0),
                *v1 = attributes.values + attributes.row(shape, image, face, 1),
                *v2 = attributes.values + attributes.row(shape, image, face, 2);
        for (int c = 0; c < attributes.channels; ++c) {
            const T g = grad_image[pixel * attributes.channels + c];
            total[0] += g * v0[c];
            total[1] += g * v1[c];
            total[2] += g * v2[c];
        }
    }
    for (int k = 0; k < 3; ++k) grad_bary[3 * pixel + k] = total[k];
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    to_attributes(Shape shape, Attributes<T> attributes, const int32_t* index_img, const T* bary, const T* grad_image,
                  VertexSums<T> sums) {
    const int e = int(blockIdx.x * blockDim.x + threadIdx.x);
    const int y0 = int(blockIdx.y * blockDim.y + threadIdx.y) * kRun;
    const int64_t image = blockIdx.z;
    if (e >= shape.width * attributes.channels || y0 >= shape.height) return;
    const int y1 = y0 + kRun < shape.height ? y0 + kRun : shape.height;
    const int x = e / attributes.channels, c = e % attributes.channels;
    const int64_t pixels = image * shape.height * shape.width + x;
    for (int y = y0; y < y1;) {
        const int32_t face = index_img[pixels + int64_t(y) * shape.width];
        if (face < 0 || face >= shape.faces) {
            ++y;
            continue;
        }
        T total[3] = {0, 0, 0};
        for (; y < y1 && index_img[pixels + int64_t(y) * shape.width] == face; ++y) {
            const int64_t pixel = pixels + int64_t(y) * shape.width;
            const T g = grad_image[pixel * attributes.channels + c];
            for (int k = 0; k < 3; ++k) total[k] += bary[3 * pixel + k] * g;
        }
        for (int k = 0; k < 3; ++k) sums.add(attributes.row(shape, image, face, k) + c, total[k]);
    }
}

}  // namespace

template <class T>
void interpolate(const Shape& shape, int channels, bool shared, const T* attributes, const int32_t* faces,
                 const int32_t* index_img, const T* bary, T* image, const Queue& queue) {
    launch(blend<T>, grid_of(int64_t(shape.width) * channels, shape.height, shape.images), dim3(kBlockX, kBlockY),
           queue, shape, Attributes<T>{attributes, faces, channels, shared}, index_img, bary, image);
}

template <class T>
void interpolate_backward(const Shape& shape, int channels, bool shared, const T* attributes, const int32_t* faces,
                          const int32_t* index_img, const T* bary, const T* grad_image, T* grad_attributes,
                          T* grad_bary, void* scratch, const Queue& queue) {
    const Attributes<T> rows{attributes, faces, channels, shared};
    const dim3 block(kBlockX, kBlockY);
    if (grad_bary)
        launch(to_bary<T>, grid_of(shape.width, shape.height, shape.images), block, queue, shape, rows, index_img,
               grad_image, grad_bary);
    if (!grad_attributes) return;
    const dim3 grid = grid_of(int64_t(shape.width) * channels, blocks_for(shape.height, kRun), shape.images);
    const double contributions = 3.0 * double(shape.images) * shape.height * shape.width;  // to one value
    sum_to(grad_attributes, (shared ? 1 : shape.images) * shape.vertices * channels, contributions, scratch, queue,
           [&](const VertexSums<T>& sums) {
               launch(to_attributes<T>, grid, block, queue, shape, rows, index_img, bary, grad_image, sums);
           });
}

#define HEADFIT_INSTANTIATE(T)                                                                                   \
    template void interpolate<T>(const Shape&, int, bool, const T*, const int32_t*, const int32_t*, const T*, T*, \
                                 const Queue&);                                                                  \
    template void interpolate_backward<T>(const Shape&, int, bool, const T*, const int32_t*, const int32_t*,      \
                                          const T*, const T*, T*, T*, void*, const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
