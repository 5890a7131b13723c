// SPDX-License-Identifier: GPL-2.0-only
#include "exchange_partner.h"

#include <algorithm>
#include <cstdio>
#include <utility>
#include <vector>

#include "edgelam/bridge/errors.h"
#include "exchange_texts.h"
#include "python_process.h"

namespace edgelam::bridge {

namespace {

// A new run is at least a process start away from the last one: looking this often misses none.
constexpr auto look_interval = std::chrono::microseconds(200);
constexpr auto both_wait_limit = std::chrono::seconds(3);
constexpr auto started_notice_after = std::chrono::seconds(30); // a program may build its network before it opens one

/// All that this process has, once they are open.
struct Partners {
    std::mutex mutex;
    std::vector<Partner*> all;

    void Add(Partner* partner) {
        const std::lock_guard lock(mutex);
        all.push_back(partner);
    }
};

Partners& OfProcess() {
    static auto& partners = *new Partners; // static objects may have one until the very end
    return partners;
}

} // namespace

Partner::Partner(const ExchangeOptions& options, std::function<void()> afresh)
    : m_options(options), m_afresh(std::move(afresh)) {}

Partner::~Partner() {
    Forget();
}

void Partner::Forget() {
    const std::lock_guard lock(OfProcess().mutex);
    std::erase(OfProcess().all, this);
}

std::string Partner::Segment() const {
    return "segment " + Quote(m_options.segment);
}

std::string Partner::Name() const {
    return (InPython() ? "the ns-3 program" : "the Python process") +
           (m_peer.pid() > 0 ? " (pid " + std::to_string(m_peer.pid()) + ")" : "");
}

// ---- how they meet ---------------------------------------------------------------------------------------------

void Partner::Make() {
    if (const int other = InPython() ? 0 : AncestorWith(m_options.segment)) {
        throw BridgeError("process " + std::to_string(other) + ", which started this one, has made " + Segment() +
                          " already. One side makes it and the other opens it: SetIsMemoryCreator(false) here, or "
                          "False as the first argument of Ns3AiMsgInterfaceImpl there");
    }
    m_memory = ExchangeMemory(MakeMemory("edgelam-ns3-ai", ExchangeMessageOffset(m_options.memory_bytes, 2)),
                              m_options.memory_bytes);
    m_generation = ForkGeneration();
    m_listener.emplace(m_options.segment);
    OfProcess().Add(this);
}

void Partner::Open() {
    PythonUnlocked unlocked;
    const auto look_up = [&] {
        if (!unlocked.RunSignalHandlers()) {
            throw BridgeError("interrupted");
        }
        LookAtAll();
    };
    auto [peer, answer] = AttachToCreator(m_options.segment, Describe(m_options), look_up, [](const std::string& text) {
        std::fprintf(stderr, "edgelam: %s\n", text.c_str());
    });
    if (answer.status != 0) {
        throw AttachRefused(Utf8(answer.text));
    }
    m_peer = std::move(peer);
    m_memory = ExchangeMemory(std::move(answer.fds.at(0)), std::stoul(answer.text));
    m_generation = ForkGeneration();
    OfProcess().Add(this);
}

void Partner::LookAtAll() {
    const std::lock_guard lock(OfProcess().mutex);
    for (Partner* each : OfProcess().all) {
        if (each->m_generation == ForkGeneration()) {
            each->Look();
        }
    }
}

void Partner::Look() {
    const std::unique_lock looking(m_looking, std::try_to_lock);
    if (!looking) {
        return;
    }
    const auto now = WallClock::now();
    if (now - m_looked < look_interval) {
        return;
    }
    m_looked = now;
    if (m_peer && m_peer.Ended()) {
        const bool in_order = m_memory.header().left[1 - role()] != 0;
        m_end = Name() + " " + (in_order ? "has closed its end of " + Segment() : m_peer.HowItEnded()) +
                ": no message will come, and none is read";
        m_peer = Peer();
        m_announced.reset();
    }
    while (m_listener) {
        auto news = m_listener->Next();
        if (!news) {
            break;
        }
        if (news->announced) {
            if (!m_peer && (m_used || !m_end.empty())) { // what was sent before the first run stays
                StartAfresh();
            }
            m_announced = std::move(news->announced);
        } else {
            TakeIn(*news);
        }
    }
    if (m_announced && !m_peer && m_announced->Ended()) {
        m_end = "the ns-3 program (pid " + std::to_string(m_announced->pid()) + ") " + m_announced->HowItEnded() +
                " before it opened " + Segment();
        m_announced.reset();
    }
}

void Partner::TakeIn(ExchangeListener::News& news) {
    const int pid = CredentialsOf(news.socket.get()).pid;
    std::string refusal;
    if (m_peer) {
        refusal = Segment() + " is in use by process " + std::to_string(m_peer.pid()) +
                  " already: give each pair of programs a segment name of its own";
    } else if (const auto differences = Differences(Describe(m_options), news.hello); !differences.empty()) {
        refusal = Utf8("the two sides of " + Segment() + " do not agree:" + differences);
        m_end = refusal;
    }
    try {
        if (!refusal.empty()) {
            SendAttachMessage(news.socket.get(), 1, refusal);
            return;
        }
        if (m_used) {
            StartAfresh();
        }
        SendAttachMessage(news.socket.get(), 0, std::to_string(m_memory.message_bytes()), {m_memory.fd()});
    } catch (const BridgeError&) {
        return; // it has gone again
    }
    m_peer = Peer(std::move(news.socket), pid);
    m_used = true;
}

/// A new run with the same memory: what the last one left undone is forgotten, the messages' contents stay.
void Partner::StartAfresh() {
    auto& header = m_memory.header();
    for (const int i : {0, 1}) {
        header.slots[i].full = 0;
        header.finished[i] = 0;
    }
    header.left[1] = 0;
    m_afresh();
    m_end.clear();
    m_used = false;
}

// ---- how a wait ends without it --------------------------------------------------------------------------------

bool Partner::Gone(Side caller) {
    const std::lock_guard looking(m_looking);
    if (m_end.empty()) {
        return false;
    }
    const bool in_order = m_memory.header().left[1 - role()] != 0;
    if (caller == Side::python && m_options.handle_finish && in_order) {
        m_memory.header().finished[static_cast<int>(Side::cpp)] = 1;
        return true;
    }
    throw PeerDied(m_end + (in_order && caller == Side::python ? ". With handleFinish on both sides, PyGetFinished() "
                                                                 "tells of an end in order"
                                                               : ""));
}

void Partner::NobodyYet(WallClock::time_point since) {
    if (!m_options.creator || m_used) {
        return;
    }
    if (m_listener->Superseded()) {
        throw BridgeError("this process has made " + Segment() +
                          " once more, and who opens it gets that one: give each interface a segment name of its own");
    }
    const auto waited = WallClock::now() - since;
    if (!m_noticed && waited > (m_announced ? started_notice_after : notice_after)) {
        m_noticed = true;
        std::fprintf(stderr, "edgelam: %s is there; waiting for %s to open it\n", Segment().c_str(),
                     m_announced && m_announced->pid() > 0 ? ("process " + std::to_string(m_announced->pid())).c_str()
                                                           : Name().c_str());
    }
    if (!m_announced && waited > connect_limit) {
        throw BridgeError("nobody has opened " + Segment() + " within 60 s. " +
                          (InPython() ? "The ns-3 program does so with SetIsMemoryCreator(false)"
                                      : "The Python process does so with False as the first argument of "
                                        "Ns3AiMsgInterfaceImpl") +
                          " and the same segment name");
    }
}

void BothWait::Check(const Partner& partner, const std::string& call) {
    const std::lock_guard lock(OfProcess().mutex);
    const Partner* where = nullptr;
    const int expected = partner.m_peer ? partner.m_peer.pid() : partner.m_announced ? partner.m_announced->pid() : 0;
    for (const Partner* each : OfProcess().all) {
        const bool same = each == &partner || (each->m_peer.pid() > 0 && each->m_peer.pid() == expected);
        if (each->m_peer && same && each->Waits() % 2 == 1) {
            where = each;
        }
    }
    const std::uint32_t theirs = where == nullptr ? 0 : where->Waits();
    if (where == nullptr || where != m_where || theirs != m_theirs) {
        m_where = where;
        m_theirs = theirs;
        m_since = WallClock::now();
    } else if (WallClock::now() - m_since > both_wait_limit) {
        throw BridgeError("both sides of " + partner.Segment() + " wait for each other: this one in " + call + ", " +
                          where->Name() + (where == &partner ? " likewise" : " in " + where->Segment()) +
                          ". Each CppSend needs its PyRecv and each PySend its CppRecv, in an order in "
                          "which one side always goes on");
    }
}

} // namespace edgelam::bridge
