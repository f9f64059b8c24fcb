// The CUDA bindings on arrays of the CPU, and the shim's reports. Built by build.py, never part of a wheel.
#include <nanobind/ndarray.h>
#include <nanobind/stl/set.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "broken.h"
#include "cuda/bindings.h"
#include "faults.h"
#include "host_shim.h"

namespace nb = nanobind;

NB_MODULE(_cuda_on_host, m) {
    define_cuda(m);
    m.def("seed", &host_shim::seed);
    m.def("take_streams", &host_shim::take_streams);
    m.def("take_faults", &host_shim::take_faults);
    m.def("run_broken", [](const std::string& kind, int64_t threads, nb::ndarray<int32_t, nb::ndim<1>, nb::device::cpu> out) {
        host_shim::allow(out.data(), out.nbytes());
        run_broken(kind, threads, out.data());
    });
}
