// SPDX-License-Identifier: GPL-2.0-only
#include "nr-workers.h"

#include <csignal>
#include <map>
#include <utility>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrWorkers");

namespace edgelam::nr {

namespace {

constexpr std::uint64_t parts_mask = UINT32_MAX;
/// How often a thread looks for the next work before it sleeps, and how often for the end of what others do: some 50
/// microseconds. To be woken takes as long.
constexpr int looks = 2000;

/// Between two looks.
inline void Pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

} // namespace

Workers::Workers(unsigned threads) {
    // Signals are for the thread that simulates.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    while (NumThreads() < threads) {
        m_threads.emplace_back([this] { Work(); });
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    NS_LOG_INFO(NumThreads() << " threads");
}

Workers::~Workers() {
    m_stop = true;
    m_ticket.fetch_add(parts_mask + 1);
    m_ticket.notify_all();
    for (auto& thread : m_threads) {
        thread.join();
    }
}

std::shared_ptr<Workers> Workers::Shared(unsigned threads) {
    static std::map<unsigned, std::weak_ptr<Workers>> known;
    auto workers = known[threads].lock();
    if (!workers) {
        workers = std::make_shared<Workers>(threads);
        known[threads] = workers;
    }
    return workers;
}

void Workers::Run(std::size_t count, const std::function<void(std::size_t)>& part) {
    if (count <= 1 || m_threads.empty()) {
        for (std::size_t i = 0; i < count; ++i) {
            part(i);
        }
        return;
    }
    m_part = &part;
    m_failure = nullptr;
    m_unfinished = count;
    m_ticket.store(((m_ticket.load() | parts_mask) + 1) + count);
    m_ticket.notify_all();
    TakeParts();
    for (int i = 0; i < looks && m_unfinished.load() != 0; ++i) {
        Pause();
    }
    for (std::size_t left = m_unfinished.load(); left != 0; left = m_unfinished.load()) {
        m_unfinished.wait(left);
    }
    if (m_failure) {
        std::rethrow_exception(std::exchange(m_failure, nullptr));
    }
}

/// What this reads of a call stays as it is until the last of its parts is done, and so while a part is in hand.
void Workers::TakeParts() {
    std::uint64_t ticket = m_ticket.load();
    while ((ticket & parts_mask) != 0) {
        if (!m_ticket.compare_exchange_weak(ticket, ticket - 1)) {
            continue;
        }
        const auto i = static_cast<std::size_t>((ticket & parts_mask) - 1);
        try {
            (*m_part)(i);
        } catch (...) {
            const std::scoped_lock lock(m_failing);
            if (!m_failure || i < m_failed) {
                m_failure = std::current_exception();
                m_failed = i;
            }
        }
        if (m_unfinished.fetch_sub(1) == 1) {
            m_unfinished.notify_all();
        }
        ticket = m_ticket.load();
    }
}

void Workers::Work() {
    while (!m_stop) {
        std::uint64_t ticket = m_ticket.load();
        for (int i = 0; i < looks && (ticket & parts_mask) == 0; ++i) {
            Pause();
            ticket = m_ticket.load();
        }
        if ((ticket & parts_mask) == 0) {
            if (!m_stop) {
                m_ticket.wait(ticket);
            }
            continue;
        }
        TakeParts();
    }
}

} // namespace edgelam::nr
