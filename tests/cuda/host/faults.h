// What the tests ask of the shim.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace host_shim {

// Seeds the order of threads and the switches between them.
void seed(unsigned value);

// Returns and forgets the races and the accesses outside of arrays, and forgets the arrays.
std::vector<std::string> take_faults();

// Returns and forgets the streams that anything ran in.
std::set<uintptr_t> take_streams();

}  // namespace host_shim
