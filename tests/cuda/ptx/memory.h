// The arrays of the current call, and what was done to each of their words.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runtime.h"

namespace ptx {

// Calls of operators: allow() its arrays, begin_launch() for each kernel, fill() for each memset. A call ends where the next one
// begins; words of its outputs that nothing wrote are faults then, if it enqueued anything.
void begin_call();
void end_call();
void allow(const void* memory, size_t bytes, bool writable, bool workspace);
void begin_launch(const std::string& kernel);
void fill(void* memory, int byte, size_t bytes);

std::vector<std::string> take_faults();

}  // namespace ptx
