#pragma once

#include <nanobind/nanobind.h>

// The CUDA operations, into a module.
void define_cuda(nanobind::module_& m);
