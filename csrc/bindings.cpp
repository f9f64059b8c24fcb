// The Python side of csrc/cpu. Arrays come in through DLPack, outputs are allocated by the caller, and torch is not
// known here. headfit/raster/ops.py is the only caller: it has checked shapes and types.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>

#include <optional>

#include "core/mesh.h"
#include "cpu/cpu.h"
#ifdef HEADFIT_HAS_CUDA
#include "cuda/bindings.h"
#endif

namespace nb = nanobind;

namespace {

using headfit::Shape;

template <class T, int Dims>
using Array = nb::ndarray<T, nb::ndim<Dims>, nb::c_contig, nb::device::cpu>;
using Faces = Array<const int32_t, 2>;
using Index = Array<const int32_t, 3>;

template <class IndexImage>
Shape make_shape(int64_t vertices, const Faces& faces, const IndexImage& index_img) {
    return {int64_t(index_img.shape(0)), vertices, int64_t(faces.shape(0)), int(index_img.shape(1)),
            int(index_img.shape(2))};
}

template <class T>
void rasterize(const Array<const T, 3>& v_pix, const Faces& faces, const Array<int32_t, 3>& index_img,
               const Array<T, 4>& bary, const Array<T, 3>& depth, int threads) {
    const Shape shape = make_shape(v_pix.shape(1), faces, index_img);
    headfit::rasterize(shape, v_pix.data(), faces.data(), index_img.data(), bary.data(), depth.data(), threads);
}

template <class T>
void rasterize_backward(const Array<const T, 3>& v_pix, const Faces& faces, const Index& index_img,
                        const Array<const T, 4>& grad_bary, const Array<const T, 3>& grad_depth,
                        const Array<T, 3>& grad_v, int threads) {
    const Shape shape = make_shape(v_pix.shape(1), faces, index_img);
    headfit::rasterize_backward(shape, v_pix.data(), faces.data(), index_img.data(), grad_bary.data(),
                                grad_depth.data(), grad_v.data(), threads);
}

// attributes [1,V,C] serve every image.
template <class T>
void interpolate(const Array<const T, 3>& attributes, const Faces& faces, const Index& index_img,
                 const Array<const T, 4>& bary, const Array<T, 4>& image, int threads) {
    const Shape shape = make_shape(attributes.shape(1), faces, index_img);
    headfit::interpolate(shape, int(attributes.shape(2)), attributes.shape(0) == 1, attributes.data(), faces.data(),
                         index_img.data(), bary.data(), image.data(), threads);
}

template <class T>
void interpolate_backward(const Array<const T, 3>& attributes, const Faces& faces, const Index& index_img,
                          const Array<const T, 4>& bary, const Array<const T, 4>& grad_image,
                          const std::optional<Array<T, 3>>& grad_attributes,
                          const std::optional<Array<T, 4>>& grad_bary, int threads) {
    const Shape shape = make_shape(attributes.shape(1), faces, index_img);
    headfit::interpolate_backward(shape, int(attributes.shape(2)), attributes.shape(0) == 1, attributes.data(),
                                  faces.data(), index_img.data(), bary.data(), grad_image.data(),
                                  grad_attributes ? grad_attributes->data() : nullptr,
                                  grad_bary ? grad_bary->data() : nullptr, threads);
}

template <class T>
void edge_grad_backward(const Array<const T, 4>& grad_image, const Array<const T, 4>& image,
                        const Array<const T, 3>& v_pix, const Faces& faces, const Faces& adjacency,
                        const Array<const int32_t, 1>& group, const Index& index_img, const Array<T, 3>& grad_v,
                        int threads) {
    const Shape shape = make_shape(v_pix.shape(1), faces, index_img);
    headfit::edge_grad_backward(shape, int(image.shape(3)), grad_image.data(), image.data(), v_pix.data(),
                                faces.data(), adjacency.data(), group.data(), index_img.data(), grad_v.data(),
                                threads);
}

// penalty: value of headfit::Penalty.
template <class T>
void pixel_loss_backward(int penalty, double scale, const Array<const T, 3>& grad_loss, const Array<const T, 4>& image,
                         const Array<const T, 4>& target, const Array<const T, 3>& v_pix, const Faces& faces,
                         const Faces& adjacency, const Array<const int32_t, 1>& group, const Index& index_img,
                         const Array<T, 3>& grad_v, int threads) {
    const Shape shape = make_shape(v_pix.shape(1), faces, index_img);
    headfit::pixel_loss_backward(shape, int(image.shape(3)), headfit::Penalty(penalty), scale, grad_loss.data(),
                                 image.data(), target.data(), v_pix.data(), faces.data(), adjacency.data(),
                                 group.data(), index_img.data(), grad_v.data(), threads);
}

// pyramid [1,N,C] serves every image; mips: height, width and number of levels; faces: how many there are.
template <class T>
void sample_texture(const Array<const T, 3>& pyramid, int height, int width, int levels, const Array<const T, 4>& uv,
                    const Index& index_img, const std::optional<Array<const int32_t, 1>>& group, int64_t faces,
                    const Array<T, 4>& image, const Array<T, 3>& level, int threads) {
    const Shape shape{int64_t(uv.shape(0)), 0, faces, int(uv.shape(1)), int(uv.shape(2))};
    headfit::sample_texture(shape, {height, width, levels}, int(pyramid.shape(2)), pyramid.shape(0) == 1,
                            pyramid.data(), uv.data(), index_img.data(), group ? group->data() : nullptr,
                            image.data(), level.data(), threads);
}

template <class T>
void sample_texture_backward(const Array<const T, 3>& pyramid, int height, int width, int levels,
                             const Array<const T, 4>& uv, const Index& index_img, const Array<const T, 3>& level,
                             const Array<const T, 4>& grad_image, const std::optional<Array<T, 3>>& grad_pyramid,
                             const std::optional<Array<T, 4>>& grad_uv, int threads) {
    const Shape shape{int64_t(uv.shape(0)), 0, 0, int(uv.shape(1)), int(uv.shape(2))};
    headfit::sample_texture_backward(shape, {height, width, levels}, int(pyramid.shape(2)), pyramid.shape(0) == 1,
                                     pyramid.data(), uv.data(), index_img.data(), level.data(), grad_image.data(),
                                     grad_pyramid ? grad_pyramid->data() : nullptr,
                                     grad_uv ? grad_uv->data() : nullptr, threads);
}

template <class T>
void define(nb::module_& m) {
    using namespace nb::literals;
    const nb::call_guard<nb::gil_scoped_release> unlocked;
    m.def("rasterize", &rasterize<T>, "v_pix"_a.noconvert(), "faces"_a.noconvert(), "index_img"_a.noconvert(),
          "bary"_a.noconvert(), "depth"_a.noconvert(), "threads"_a, unlocked);
    m.def("rasterize_backward", &rasterize_backward<T>, "v_pix"_a.noconvert(), "faces"_a.noconvert(),
          "index_img"_a.noconvert(), "grad_bary"_a.noconvert(), "grad_depth"_a.noconvert(), "grad_v"_a.noconvert(),
          "threads"_a, unlocked);
    m.def("interpolate", &interpolate<T>, "attributes"_a.noconvert(), "faces"_a.noconvert(),
          "index_img"_a.noconvert(), "bary"_a.noconvert(), "image"_a.noconvert(), "threads"_a, unlocked);
    m.def("interpolate_backward", &interpolate_backward<T>, "attributes"_a.noconvert(), "faces"_a.noconvert(),
          "index_img"_a.noconvert(), "bary"_a.noconvert(), "grad_image"_a.noconvert(),
          "grad_attributes"_a.noconvert().none(), "grad_bary"_a.noconvert().none(), "threads"_a, unlocked);
    m.def("edge_grad_backward", &edge_grad_backward<T>, "grad_image"_a.noconvert(), "image"_a.noconvert(),
          "v_pix"_a.noconvert(), "faces"_a.noconvert(), "adjacency"_a.noconvert(), "group"_a.noconvert(),
          "index_img"_a.noconvert(), "grad_v"_a.noconvert(), "threads"_a, unlocked);
    m.def("pixel_loss_backward", &pixel_loss_backward<T>, "penalty"_a, "scale"_a, "grad_loss"_a.noconvert(),
          "image"_a.noconvert(), "target"_a.noconvert(), "v_pix"_a.noconvert(), "faces"_a.noconvert(),
          "adjacency"_a.noconvert(), "group"_a.noconvert(), "index_img"_a.noconvert(), "grad_v"_a.noconvert(),
          "threads"_a, unlocked);
    m.def("sample_texture", &sample_texture<T>, "pyramid"_a.noconvert(), "height"_a, "width"_a, "levels"_a,
          "uv"_a.noconvert(), "index_img"_a.noconvert(), "group"_a.noconvert().none(), "faces"_a,
          "image"_a.noconvert(), "level"_a.noconvert(), "threads"_a, unlocked);
    m.def("sample_texture_backward", &sample_texture_backward<T>, "pyramid"_a.noconvert(), "height"_a, "width"_a,
          "levels"_a, "uv"_a.noconvert(), "index_img"_a.noconvert(), "level"_a.noconvert(),
          "grad_image"_a.noconvert(), "grad_pyramid"_a.noconvert().none(), "grad_uv"_a.noconvert().none(),
          "threads"_a, unlocked);
}

}  // namespace

NB_MODULE(_C, m) {
    m.attr("NEAR") = headfit::kNear;
    define<float>(m);
    define<double>(m);
#ifdef HEADFIT_HAS_CUDA
    nb::module_ cuda = m.def_submodule("cuda");
    define_cuda(cuda);
#endif
}
