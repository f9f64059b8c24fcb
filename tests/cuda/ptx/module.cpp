// The CUDA bindings on arrays of the CPU, with the executor's reports. Built by build.py, never part of a wheel.
#include <nanobind/stl/set.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "cuda/bindings.h"
#include "executor.h"
#include "memory.h"

NB_MODULE(HEADFIT_MODULE, m) {
    define_cuda(m);
    m.def("seed", &ptx::seed);
    m.def("take_streams", &ptx::take_streams);
    m.def("take_faults", &ptx::take_faults);
}
