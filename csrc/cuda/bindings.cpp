// The Python side of csrc/cuda. All memory, workspaces included, is allocated by torch and belongs to torch's stream.
#include "cuda/bindings.h"

#include "cuda/cuda.h"
#include "operators.h"

namespace {

namespace nb = nanobind;

struct Cuda {
#ifdef HEADFIT_HOST_SHIM
    using Device = nb::device::cpu;
#else
    using Device = nb::device::cuda;
#endif
    template <class T, int Dims>
    using Array = nb::ndarray<T, nb::ndim<Dims>, nb::c_contig, Device>;

    template <class AnyArray>
    static auto data(const AnyArray& array) {
#ifdef HEADFIT_HOST_SHIM
        host_shim::allow(array.data(), array.nbytes());
#endif
        return array.data();
    }

    static int64_t rasterize_bytes(int64_t images, int height, int width) {
        return headfit::cuda::rasterize_bytes({images, 0, 0, height, width});
    }
    static int64_t deterministic_bytes(int64_t count) { return headfit::cuda::deterministic_bytes(count); }
    static int64_t shade_sums(int height, int width) { return headfit::cuda::shade_sums(height, width); }

    // queue: the handle of a stream on the workspace's device, which becomes the current device during the call.
    class Call {
      public:
        Call(const Array<uint8_t, 1>& workspace, uint64_t queue)
            : queue_{workspace.device_id(), reinterpret_cast<cudaStream_t>(queue), data(workspace),
                     int64_t(workspace.size())},
              guard_(queue_.device) {}
        const headfit::cuda::Queue& run() const { return queue_; }

      private:
        headfit::cuda::Queue queue_;
        headfit::cuda::DeviceGuard guard_;
    };
};

}  // namespace

void define_cuda(nb::module_& m) { headfit::define_backend<Cuda>(m); }
