// Threads for one call: started here, joined before returning. Nothing outlives the call, so the library stays
// usable after fork() (data-loading workers), at a price of some 20 microseconds per thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace headfit {

// Calls work(worker) once for each worker in [0, workers), each on a thread of its own.
template <class Work>
void run_workers(int workers, const Work& work) {
    std::exception_ptr error;
    std::mutex error_mutex;
    const auto guarded = [&](int worker) {
        try {
            work(worker);
        } catch (...) {
            const std::lock_guard<std::mutex> lock(error_mutex);
            if (!error) error = std::current_exception();
        }
    };
    std::vector<std::thread> threads;
    for (int worker = 1; worker < workers; ++worker) threads.emplace_back(guarded, worker);
    guarded(0);
    for (std::thread& thread : threads) thread.join();
    if (error) std::rethrow_exception(error);
}

// Calls work(i) for i in [0, count), handed out in ascending order.
template <class Work>
void parallel_for(int64_t count, int threads, const Work& work) {
    std::atomic<int64_t> next{0};
    const int workers = int(count < threads ? count : threads);
    run_workers(workers, [&](int) {
        for (int64_t i = next++; i < count; i = next++) work(i);
    });
}

}  // namespace headfit
