#pragma once

#include <nanobind/nanobind.h>

// Defines the operators on a GPU in a module.
void define_cuda(nanobind::module_& m);
