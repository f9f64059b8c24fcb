// Neighbouring threads process neighbouring channels: for any number of channels, images are read and written in whole
// sectors, and so are gathers from and atomics to the rows of vertices.
#include "cuda/cuda.h"
#include "cuda/vertex_sums.h"

namespace headfit {
namespace cuda {
namespace {

constexpr int kRun = 8;  // pixels of a column per thread

template <class T>
struct FaceAttributes {
    Attributes<T> rows;
    const int32_t* faces;

    // Index of the first value of a corner's row.
    __device__ int64_t row(const Sizes& sizes, int64_t image, int32_t face, int k) const {
        const int64_t vertex = faces[3 * int64_t(face) + k];
        return ((rows.shared ? 0 : image * sizes.vertices) + vertex) * rows.channels;
    }
};

template <class T>
__global__ void __launch_bounds__(kBlock)
    blend(Sizes sizes, FaceAttributes<T> attributes, const int32_t* index_img, const T* bary, const T* background,
          T* out) {
    const int e = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    const int64_t image = blockIdx.z;
    if (e >= sizes.width * attributes.rows.channels || y >= sizes.height) return;
    const int x = e / attributes.rows.channels, c = e % attributes.rows.channels;
    const int64_t pixel = (image * sizes.height + y) * sizes.width + x;
    const int32_t face = index_img[pixel];
    const int64_t at = pixel * attributes.rows.channels + c;
    T value = 0;
    if (face >= 0 && face < sizes.faces) {
        const T* b = bary + 3 * pixel;
        const T* v = attributes.rows.values + c;
        value = b[0] * v[attributes.row(sizes, image, face, 0)] + b[1] * v[attributes.row(sizes, image, face, 1)] +
                b[2] * v[attributes.row(sizes, image, face, 2)];
    } else if (background) {
        value = background[at];
    }
    out[at] = value;
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    to_background(Sizes sizes, int channels, const int32_t* index_img, const T* grad_image, T* grad_background) {
    const int e = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    const int64_t image = blockIdx.z;
    if (e >= sizes.width * channels || y >= sizes.height) return;
    const int64_t row = image * sizes.height + y, at = row * sizes.width * channels + e;
    const int32_t face = index_img[row * sizes.width + e / channels];
    grad_background[at] = face >= 0 && face < sizes.faces ? T(0) : grad_image[at];
}

template <class T>
__global__ void __launch_bounds__(kBlock) to_bary(Sizes sizes, FaceAttributes<T> attributes, const int32_t* index_img,
                                                  const T* grad_image, T* grad_bary) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    const int64_t image = blockIdx.z;
    if (x >= sizes.width || y >= sizes.height) return;
    const int64_t pixel = (image * sizes.height + y) * sizes.width + x;
    const int32_t face = index_img[pixel];
    T total[3] = {0, 0, 0};
    if (face >= 0 && face < sizes.faces) {
        const T *v0 = attributes.rows.values + attributes.row(sizes, image, face, 0),
                *v1 = attributes.rows.values + attributes.row(sizes, image, face, 1),
                *v2 = attributes.rows.values + attributes.row(sizes, image, face, 2);
        for (int c = 0; c < attributes.rows.channels; ++c) {
            const T g = grad_image[pixel * attributes.rows.channels + c];
            total[0] += g * v0[c];
            total[1] += g * v1[c];
            total[2] += g * v2[c];
        }
    }
    for (int k = 0; k < 3; ++k) grad_bary[3 * pixel + k] = total[k];
}

template <class T>
__global__ void __launch_bounds__(kBlock)
    to_attributes(Sizes sizes, FaceAttributes<T> attributes, const int32_t* index_img, const T* bary,
                  const T* grad_image, VertexSums<T> sums) {
    const int e = int(blockIdx.x * blockDim.x + threadIdx.x);
    const int y0 = int(blockIdx.y * blockDim.y + threadIdx.y) * kRun;
    const int64_t image = blockIdx.z;
    if (e >= sizes.width * attributes.rows.channels || y0 >= sizes.height) return;
    const int y1 = y0 + kRun < sizes.height ? y0 + kRun : sizes.height;
    const int x = e / attributes.rows.channels, c = e % attributes.rows.channels;
    const int64_t pixels = image * sizes.height * sizes.width + x;
    for (int y = y0; y < y1;) {
        const int32_t face = index_img[pixels + int64_t(y) * sizes.width];
        if (face < 0 || face >= sizes.faces) {
            ++y;
            continue;
        }
        T total[3] = {0, 0, 0};
        for (; y < y1 && index_img[pixels + int64_t(y) * sizes.width] == face; ++y) {
            const int64_t pixel = pixels + int64_t(y) * sizes.width;
            const T g = grad_image[pixel * attributes.rows.channels + c];
            for (int k = 0; k < 3; ++k) total[k] += bary[3 * pixel + k] * g;
        }
        for (int k = 0; k < 3; ++k) sums.add(attributes.row(sizes, image, face, k) + c, total[k]);
    }
}

}  // namespace

template <class T>
void interpolate(const Scene<T>& scene, const Attributes<T>& attributes, const T* bary, const T* background, T* image,
                 const Queue& queue) {
    const Sizes& sizes = scene.sizes;
    launch(blend<T>, grid_of(int64_t(sizes.width) * attributes.channels, sizes.height, sizes.images),
           dim3(kBlockX, kBlockY), queue, sizes, FaceAttributes<T>{attributes, scene.faces}, scene.index_img, bary,
           background, image);
}

template <class T>
void interpolate_backward(const Scene<T>& scene, const Attributes<T>& attributes, const T* bary, const T* grad_image,
                          const InterpolationGradients<T>& out, const Queue& queue) {
    const Sizes& sizes = scene.sizes;
    const FaceAttributes<T> rows{attributes, scene.faces};
    const int channels = attributes.channels;
    const dim3 block(kBlockX, kBlockY), per_pixel = grid_of(sizes.width, sizes.height, sizes.images),
        per_value = grid_of(int64_t(sizes.width) * channels, sizes.height, sizes.images),
        per_run = grid_of(int64_t(sizes.width) * channels, sizes.height, sizes.images, kBlockY * kRun);
    if (out.background)
        launch(to_background<T>, per_value, block, queue, sizes, channels, scene.index_img, grad_image, out.background);
    if (out.bary) launch(to_bary<T>, per_pixel, block, queue, sizes, rows, scene.index_img, grad_image, out.bary);
    if (!out.attributes) return;
    const double contributions = 3.0 * double(sizes.images) * sizes.height * sizes.width;  // to one value
    const int64_t count = (attributes.shared ? 1 : sizes.images) * sizes.vertices * channels;
    sum_to(out.attributes, count, contributions, queue, [&](const VertexSums<T>& sums) {
        launch(to_attributes<T>, per_run, block, queue, sizes, rows, scene.index_img, bary, grad_image, sums);
    });
}

#define HEADFIT_INSTANTIATE(T)                                                                                    \
    template void interpolate<T>(const Scene<T>&, const Attributes<T>&, const T*, const T*, T*, const Queue&);    \
    template void interpolate_backward<T>(const Scene<T>&, const Attributes<T>&, const T*, const T*,              \
                                          const InterpolationGradients<T>&, const Queue&);
HEADFIT_INSTANTIATE(float)
HEADFIT_INSTANTIATE(double)
#undef HEADFIT_INSTANTIATE

}  // namespace cuda
}  // namespace headfit
