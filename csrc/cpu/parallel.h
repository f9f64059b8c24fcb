// Threads for one call, started here and joined before it returns. Nothing outlives the call, so the library can be
// used after fork() (in data-loading workers). The price is about 20 microseconds per thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace headfit {

// Calls phase(worker) of each phase once for each worker in [0, workers), each worker on its own thread. All workers
// finish a phase before any starts the next: new threads for each phase would cost more than a phase of a small image.
template <class... Phases>
void run_workers(int workers, const Phases&... phases) {
    std::exception_ptr error;
    std::mutex error_mutex;
    std::atomic<bool> failed{false};
    std::atomic<int64_t> finished{0};  // phases, over all workers
    const auto all_phases = [&](int worker) {
        int64_t count = 0;
        const auto guarded = [&](const auto& phase) {
            while (finished < workers * count) std::this_thread::yield();
            ++count;
            try {
                if (!failed) phase(worker);
            } catch (...) {
                const std::lock_guard<std::mutex> lock(error_mutex);
                if (!error) error = std::current_exception();
                failed = true;
            }
            ++finished;
        };
        (guarded(phases), ...);
    };
    std::vector<std::thread> threads;
    for (int worker = 1; worker < workers; ++worker) threads.emplace_back(all_phases, worker);
    all_phases(0);
    for (std::thread& thread : threads) thread.join();
    if (error) std::rethrow_exception(error);
}

// A phase that calls work(i) for i in [0, count), handed out to the workers in ascending order.
template <class Work>
auto each(int64_t count, std::atomic<int64_t>& next, const Work& work) {
    return [count, &next, &work](int) {
        for (int64_t i = next++; i < count; i = next++) work(i);
    };
}

template <class Work>
void parallel_for(int64_t count, int threads, const Work& work) {
    std::atomic<int64_t> next{0};
    run_workers(int(count < threads ? count : threads), each(count, next, work));
}

}  // namespace headfit
