// The Python side of csrc/cuda. headfit/raster/cuda.py is the only caller: it has checked shapes and types, and it
// allocates everything, so that the memory is torch's and belongs to torch's stream.
#include "cuda/bindings.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>

#include "cuda/cuda.h"

namespace nb = nanobind;

namespace {

using headfit::Shape;
using headfit::cuda::DeviceGuard;
using headfit::cuda::Queue;

#ifdef HEADFIT_HOST_SHIM
using Device = nb::device::cpu;
#else
using Device = nb::device::cuda;
#endif

template <class T, int Dims>
using Array = nb::ndarray<T, nb::ndim<Dims>, nb::c_contig, Device>;
using Faces = Array<const int32_t, 2>;
using Index = Array<const int32_t, 3>;
using Bytes = Array<uint8_t, 1>;

template <class AnyArray>
auto data(const AnyArray& array) {
#ifdef HEADFIT_HOST_SHIM
    host_shim::allow(array.data(), array.nbytes());
#endif
    return array.data();
}

template <class AnyArray>
auto data(const std::optional<AnyArray>& array) -> decltype(array->data()) {
    return array ? data(*array) : nullptr;
}

// The scratch memory of deterministic sums over `count` values.
void* scratch_for(int64_t count, const std::optional<Bytes>& scratch) {
    if (scratch && int64_t(scratch->size()) < headfit::cuda::deterministic_bytes(count))
        throw std::invalid_argument("scratch: too small");
    return data(scratch);
}

template <class IndexImage>
Shape make_shape(int64_t vertices, const Faces& faces, const IndexImage& index_img) {
    return {int64_t(index_img.shape(0)), vertices, int64_t(faces.shape(0)), int(index_img.shape(1)),
            int(index_img.shape(2))};
}

template <class AnyArray>
Queue queue_of(const AnyArray& array, uintptr_t stream) {
    return {array.device_id(), reinterpret_cast<cudaStream_t>(stream)};
}

template <class T>
void rasterize(const Array<const T, 3>& v_pix, const Faces& faces, const Bytes& workspace,
               const Array<int32_t, 3>& index_img, const Array<T, 4>& bary, const Array<T, 3>& depth,
               uintptr_t stream) {
    const Queue queue = queue_of(v_pix, stream);
    const DeviceGuard guard(queue.device);
    headfit::cuda::rasterize(make_shape(v_pix.shape(1), faces, index_img), data(v_pix), data(faces),
                             static_cast<void*>(data(workspace)), int64_t(workspace.size()), data(index_img),
                             data(bary), data(depth), queue);
}

template <class T>
void rasterize_backward(const Array<const T, 3>& v_pix, const Faces& faces, const Index& index_img,
                        const Array<const T, 4>& grad_bary, const Array<const T, 3>& grad_depth,
                        const Array<T, 3>& grad_v, const std::optional<Bytes>& scratch, uintptr_t stream) {
    const Queue queue = queue_of(v_pix, stream);
    const DeviceGuard guard(queue.device);
    headfit::cuda::rasterize_backward(make_shape(v_pix.shape(1), faces, index_img), data(v_pix), data(faces),
                                      data(index_img), data(grad_bary), data(grad_depth), data(grad_v),
                                      scratch_for(grad_v.size(), scratch), queue);
}

// attributes [1,V,C] serve every image.
template <class T>
void interpolate(const Array<const T, 3>& attributes, const Faces& faces, const Index& index_img,
                 const Array<const T, 4>& bary, const Array<T, 4>& image, uintptr_t stream) {
    const Queue queue = queue_of(attributes, stream);
    const DeviceGuard guard(queue.device);
    headfit::cuda::interpolate(make_shape(attributes.shape(1), faces, index_img), int(attributes.shape(2)),
                               attributes.shape(0) == 1, data(attributes), data(faces), data(index_img), data(bary),
                               data(image), queue);
}

template <class T>
void interpolate_backward(const Array<const T, 3>& attributes, const Faces& faces, const Index& index_img,
                          const Array<const T, 4>& bary, const Array<const T, 4>& grad_image,
                          const std::optional<Array<T, 3>>& grad_attributes,
                          const std::optional<Array<T, 4>>& grad_bary, const std::optional<Bytes>& scratch,
                          uintptr_t stream) {
    const Queue queue = queue_of(attributes, stream);
    const DeviceGuard guard(queue.device);
    headfit::cuda::interpolate_backward(make_shape(attributes.shape(1), faces, index_img), int(attributes.shape(2)),
                                        attributes.shape(0) == 1, data(attributes), data(faces), data(index_img),
                                        data(bary), data(grad_image), data(grad_attributes), data(grad_bary),
                                        scratch_for(attributes.size(), scratch), queue);
}

template <class T>
void edge_grad_backward(const Array<const T, 4>& grad_image, const Array<const T, 4>& image,
                        const Array<const T, 3>& v_pix, const Faces& faces, const Faces& adjacency,
                        const Array<const int32_t, 1>& group, const Index& index_img, const Array<T, 3>& grad_v,
                        const std::optional<Bytes>& scratch, uintptr_t stream) {
    const Queue queue = queue_of(v_pix, stream);
    const DeviceGuard guard(queue.device);
    headfit::cuda::edge_grad_backward(make_shape(v_pix.shape(1), faces, index_img), int(image.shape(3)),
                                      data(grad_image), data(image), data(v_pix), data(faces), data(adjacency),
                                      data(group), data(index_img), data(grad_v), scratch_for(grad_v.size(), scratch),
                                      queue);
}

template <class T>
void pixel_loss_backward(int penalty, double scale, const Array<const T, 3>& grad_loss,
                         const Array<const T, 4>& image, const Array<const T, 4>& target,
                         const Array<const T, 3>& v_pix, const Faces& faces, const Faces& adjacency,
                         const Array<const int32_t, 1>& group, const Index& index_img, const Array<T, 3>& grad_v,
                         const std::optional<Bytes>& scratch, uintptr_t stream) {
    const Queue queue = queue_of(v_pix, stream);
    const DeviceGuard guard(queue.device);
    headfit::cuda::pixel_loss_backward(make_shape(v_pix.shape(1), faces, index_img), int(image.shape(3)),
                                       headfit::Penalty(penalty), scale, data(grad_loss), data(image), data(target),
                                       data(v_pix), data(faces), data(adjacency), data(group), data(index_img),
                                       data(grad_v), scratch_for(grad_v.size(), scratch), queue);
}

// pyramid [1,N,C] serves every image.
template <class T>
void sample_texture(const Array<const T, 3>& pyramid, int height, int width, int levels, const Array<const T, 4>& uv,
                    const Index& index_img, const std::optional<Array<const int32_t, 1>>& group, int64_t faces,
                    const Array<T, 4>& image, const Array<T, 3>& level, uintptr_t stream) {
    const Queue queue = queue_of(pyramid, stream);
    const DeviceGuard guard(queue.device);
    const Shape shape{int64_t(uv.shape(0)), 0, faces, int(uv.shape(1)), int(uv.shape(2))};
    headfit::cuda::sample_texture(shape, {height, width, levels}, int(pyramid.shape(2)), pyramid.shape(0) == 1,
                                  data(pyramid), data(uv), data(index_img), data(group), data(image), data(level),
                                  queue);
}

template <class T>
void sample_texture_backward(const Array<const T, 3>& pyramid, int height, int width, int levels,
                             const Array<const T, 4>& uv, const Array<const T, 3>& level,
                             const Array<const T, 4>& grad_image, const std::optional<Array<T, 3>>& grad_pyramid,
                             const std::optional<Array<T, 4>>& grad_uv, const std::optional<Bytes>& scratch,
                             uintptr_t stream) {
    const Queue queue = queue_of(pyramid, stream);
    const DeviceGuard guard(queue.device);
    const Shape shape{int64_t(uv.shape(0)), 0, 0, int(uv.shape(1)), int(uv.shape(2))};
    headfit::cuda::sample_texture_backward(shape, {height, width, levels}, int(pyramid.shape(2)),
                                           pyramid.shape(0) == 1, data(pyramid), data(uv), data(level),
                                           data(grad_image), data(grad_pyramid), data(grad_uv),
                                           scratch_for(pyramid.size(), scratch), queue);
}

template <class T>
void define(nb::module_& m) {
    using namespace nb::literals;
    const nb::call_guard<nb::gil_scoped_release> unlocked;
    m.def("rasterize", &rasterize<T>, "v_pix"_a.noconvert(), "faces"_a.noconvert(), "workspace"_a.noconvert(),
          "index_img"_a.noconvert(), "bary"_a.noconvert(), "depth"_a.noconvert(), "stream"_a, unlocked);
    m.def("rasterize_backward", &rasterize_backward<T>, "v_pix"_a.noconvert(), "faces"_a.noconvert(),
          "index_img"_a.noconvert(), "grad_bary"_a.noconvert(), "grad_depth"_a.noconvert(), "grad_v"_a.noconvert(),
          "scratch"_a.noconvert().none(), "stream"_a, unlocked);
    m.def("interpolate", &interpolate<T>, "attributes"_a.noconvert(), "faces"_a.noconvert(),
          "index_img"_a.noconvert(), "bary"_a.noconvert(), "image"_a.noconvert(), "stream"_a, unlocked);
    m.def("interpolate_backward", &interpolate_backward<T>, "attributes"_a.noconvert(), "faces"_a.noconvert(),
          "index_img"_a.noconvert(), "bary"_a.noconvert(), "grad_image"_a.noconvert(),
          "grad_attributes"_a.noconvert().none(), "grad_bary"_a.noconvert().none(), "scratch"_a.noconvert().none(),
          "stream"_a, unlocked);
    m.def("edge_grad_backward", &edge_grad_backward<T>, "grad_image"_a.noconvert(), "image"_a.noconvert(),
          "v_pix"_a.noconvert(), "faces"_a.noconvert(), "adjacency"_a.noconvert(), "group"_a.noconvert(),
          "index_img"_a.noconvert(), "grad_v"_a.noconvert(), "scratch"_a.noconvert().none(), "stream"_a, unlocked);
    m.def("pixel_loss_backward", &pixel_loss_backward<T>, "penalty"_a, "scale"_a, "grad_loss"_a.noconvert(),
          "image"_a.noconvert(), "target"_a.noconvert(), "v_pix"_a.noconvert(), "faces"_a.noconvert(),
          "adjacency"_a.noconvert(), "group"_a.noconvert(), "index_img"_a.noconvert(), "grad_v"_a.noconvert(),
          "scratch"_a.noconvert().none(), "stream"_a, unlocked);
    m.def("sample_texture", &sample_texture<T>, "pyramid"_a.noconvert(), "height"_a, "width"_a, "levels"_a,
          "uv"_a.noconvert(), "index_img"_a.noconvert(), "group"_a.noconvert().none(), "faces"_a,
          "image"_a.noconvert(), "level"_a.noconvert(), "stream"_a, unlocked);
    m.def("sample_texture_backward", &sample_texture_backward<T>, "pyramid"_a.noconvert(), "height"_a, "width"_a,
          "levels"_a, "uv"_a.noconvert(), "level"_a.noconvert(), "grad_image"_a.noconvert(),
          "grad_pyramid"_a.noconvert().none(), "grad_uv"_a.noconvert().none(), "scratch"_a.noconvert().none(),
          "stream"_a, unlocked);
}

}  // namespace

void define_cuda(nb::module_& m) {
    using namespace nb::literals;
    define<float>(m);
    define<double>(m);
    m.def(
        "rasterize_bytes",
        [](int64_t images, int height, int width) {
            return headfit::cuda::rasterize_bytes({images, 0, 0, height, width});
        },
        "images"_a, "height"_a, "width"_a);
    m.def("deterministic_bytes", &headfit::cuda::deterministic_bytes, "count"_a);
}
