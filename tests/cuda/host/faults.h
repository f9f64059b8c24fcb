// What the shim saw.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

namespace host_shim {

// Of the order of threads and of the switches between them.
void seed(unsigned value);

// Races and accesses outside of the arrays since the last call; the arrays are forgotten, too.
std::vector<std::string> take_faults();

// The streams that anything ran in since the last call.
std::set<uintptr_t> take_streams();

}  // namespace host_shim
