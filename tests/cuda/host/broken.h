#pragma once

#include <cstdint>
#include <string>

void run_broken(const std::string& kind, int64_t threads, int* out);
