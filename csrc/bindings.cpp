// The extension module headfit.raster._C: the operators on the CPU and, if built with CUDA, on a GPU.
#include "operators.h"

#include "cpu/cpu.h"
#ifdef HEADFIT_HAS_CUDA
#include "cuda/bindings.h"
#endif

namespace nb = nanobind;

namespace {

struct Cpu {
    template <class T, int Dims>
    using Array = nb::ndarray<T, nb::ndim<Dims>, nb::c_contig, nb::device::cpu>;

    template <class AnyArray>
    static auto data(const AnyArray& array) {
        return array.data();
    }

    static int64_t rasterize_bytes(int64_t, int, int) { return 0; }
    static int64_t deterministic_bytes(int64_t) { return 0; }  // sums on the CPU always are
    static int64_t shade_sums(int, int) { return 1; }

    // queue: the number of threads.
    class Call {
      public:
        Call(const Array<uint8_t, 1>&, uint64_t queue) : threads_(int(queue)) {}
        int run() const { return threads_; }

      private:
        int threads_;
    };
};

}  // namespace

NB_MODULE(_C, m) {
    m.attr("NEAR") = headfit::kNear;
    m.attr("LEAST_SHADING") = headfit::kLeastShading;
    nb::list names;
    for (const char* name : headfit::kPenaltyNames) names.append(name);
    m.attr("GLOSS_PART") = headfit::kGlossPart;
    m.attr("PENALTIES") = nb::tuple(names);
    nb::module_ cpu = m.def_submodule("cpu");
    headfit::define_backend<Cpu>(cpu);
#ifdef HEADFIT_HAS_CUDA
    nb::module_ cuda = m.def_submodule("cuda");
    define_cuda(cuda);
#endif
}
