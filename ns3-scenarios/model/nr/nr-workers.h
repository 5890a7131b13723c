// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Threads for work on parts that do not depend on one another.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace edgelam::nr {

/// A few threads that wait for work. Who does which part, and in which order, is open; so a part may change only what
/// is its own. Parts do not copy an ns3::Ptr to what others use: its reference counts are not atomic.
class Workers {
  public:
    /// \param threads that work, the caller of Run among them; with 1 there is no other
    explicit Workers(unsigned threads);
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    /// One set for all who ask for this number, while any of them lives.
    static std::shared_ptr<Workers> Shared(unsigned threads);

    unsigned NumThreads() const { return static_cast<unsigned>(m_threads.size()) + 1; }
    /// Call part(i) for each i below `count`, and return when all are done. If some of them throw, the exception of the
    /// lowest i is thrown. To be called from one thread at a time, and not from a part.
    void Run(std::size_t count, const std::function<void(std::size_t)>& part);

  private:
    void Work();
    void TakeParts();

    std::vector<std::thread> m_threads;
    const std::function<void(std::size_t)>* m_part = nullptr;
    /// Number of the call of Run, and below it, in 32 bits, how many of its parts nobody has taken. Who makes it one
    /// less has taken the part of that number.
    std::atomic<std::uint64_t> m_ticket = 0;
    std::atomic<std::size_t> m_unfinished = 0;
    std::atomic<bool> m_stop = false;
    std::mutex m_failing;
    std::size_t m_failed = 0; ///< the lowest part that threw
    std::exception_ptr m_failure;
};

} // namespace edgelam::nr
