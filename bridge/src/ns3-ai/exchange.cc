// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/ns3-ai/exchange.h"

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "edgelam/bridge/doorbell.h"
#include "edgelam/bridge/errors.h"
#include "edgelam/bridge/segment.h"
#include "exchange_link.h"
#include "exchange_memory.h"
#include "exchange_texts.h"
#include "python_process.h"

namespace edgelam::bridge {

namespace {

// A new run is at least a process start away from the last one: looking this often misses none.
constexpr auto look_interval = std::chrono::microseconds(200);
constexpr auto both_wait_limit = std::chrono::seconds(3);
constexpr auto started_notice_after = std::chrono::seconds(30); // a program may build its network before it opens one

} // namespace

class Exchange::Impl {
  public:
    explicit Impl(ExchangeOptions options) : m_options(std::move(options)) {
        try {
            CheckSizes(m_options);
            m_options.creator ? Make() : Open();
        } catch (const BridgeError& error) {
            FailExchange(error.what());
        }
        const std::lock_guard lock(OfProcess().mutex);
        OfProcess().all.push_back(this);
    }

    ~Impl() {
        {
            const std::lock_guard lock(OfProcess().mutex);
            std::erase(OfProcess().all, this);
        }
        if (m_memory.data() == nullptr || ForkGeneration() != m_generation || FailingExchange()) {
            return;
        }
        if (!InPython() && m_options.handle_finish) {
            header().finished[static_cast<int>(Side::cpp)] = 1;
        }
        header().left[role()] = 1;
        RingPeer();
        if (InPython()) {
            KeepMapped(std::move(m_memory));
        }
    }

    void SendBegin(Side sender) {
        Turn& turn = Enter(sender, "SendBegin");
        Wait(sender, "SendBegin", [&] { return slot(sender).full == 0 || Told(Other(sender)); });
        turn.sending = true;
    }

    void SendEnd(Side sender) {
        if (Leave(m_turns[static_cast<int>(sender)].sending, sender, "SendEnd", "SendBegin")) {
            slot(sender).full = 1;
            RingPeer();
        }
    }

    void RecvBegin(Side sender) {
        Turn& turn = Enter(sender, "RecvBegin");
        if (turn.finish_told && slot(sender).full == 0 && Told(sender)) {
            FailExchange(std::string(NameOf(sender)) + " has finished: " + Call(Other(sender), "RecvBegin") +
                         " has nothing more to give. Ask " + Call(Other(sender), "GetFinished") + " after each " +
                         Call(Other(sender), "RecvBegin") + " and stop when it is true");
        }
        Wait(sender, "RecvBegin", [&] { return slot(sender).full == 1 || Told(sender); });
        turn.receiving = slot(sender).full == 1;
        turn.finish_told = !turn.receiving;
    }

    void RecvEnd(Side sender) {
        Turn& turn = m_turns[static_cast<int>(sender)];
        if (turn.finish_told) {
            return; // there was no message
        }
        if (Leave(turn.receiving, sender, "RecvEnd", "RecvBegin")) {
            slot(sender).full = 0;
            RingPeer();
        }
    }

    void SetFinished(Side side) {
        header().finished[static_cast<int>(side)] = 1;
        RingPeer();
    }

    bool AskFinished(Side side) {
        Look();
        return Finished(side) && slot(side).full == 0; // its last message is to be read first
    }

    const ExchangeOptions& options() const { return m_options; }
    std::size_t memory_bytes() const { return m_memory_bytes; }
    std::byte* message(Side sender) const {
        return m_memory.data() + ExchangeMessageOffset(m_memory_bytes, static_cast<int>(sender));
    }

  private:
    /// Where this process is between Begin and End of one direction.
    struct Turn {
        bool sending = false, receiving = false, finish_told = false;
    };

    /// All that this process has.
    struct Exchanges {
        std::mutex mutex;
        std::vector<Impl*> all;
    };
    static Exchanges& OfProcess() {
        static auto& exchanges = *new Exchanges; // static objects may have one until the very end
        return exchanges;
    }
    /// Whatever this process waits for, it sees who comes to any of its exchanges: the other side may open them in any
    /// order.
    static void LookAtAll() {
        const std::lock_guard lock(OfProcess().mutex);
        for (Impl* each : OfProcess().all) {
            if (each->m_generation == ForkGeneration()) {
                each->Look();
            }
        }
    }

    static Side Other(Side side) { return side == Side::cpp ? Side::python : Side::cpp; }

    ExchangeHeader& header() const { return *reinterpret_cast<ExchangeHeader*>(m_memory.data()); }
    ExchangeHeader::Slot& slot(Side sender) const { return header().slots[static_cast<int>(sender)]; }
    int role() const { return m_options.creator ? 0 : 1; }
    bool Finished(Side side) const { return header().finished[static_cast<int>(side)] != 0; }
    /// The finish of the other side is an ordinary event here, not an error.
    bool Told(Side side) const { return m_options.handle_finish && Finished(side); }
    void RingPeer() { header().doorbells[1 - role()].Ring(); }
    std::string Segment() const { return "segment " + Quote(m_options.segment); }
    std::string PeerName() const {
        return (InPython() ? "the ns-3 program" : "the Python process") +
               (m_peer.pid() > 0 ? " (pid " + std::to_string(m_peer.pid()) + ")" : "");
    }

    void Make() {
        if (const int other = InPython() ? 0 : AncestorWith(m_options.segment)) {
            throw BridgeError("process " + std::to_string(other) + ", which started this one, has made " + Segment() +
                              " already. One side makes it and the other opens it: SetIsMemoryCreator(false) here, or "
                              "False as the first argument of Ns3AiMsgInterfaceImpl there");
        }
        m_memory_bytes = m_options.memory_bytes;
        m_fd = MakeMemory("edgelam-ns3-ai", ExchangeMessageOffset(m_memory_bytes, 2));
        Map();
        m_listener.emplace(m_options.segment);
    }

    void Open() {
        PythonUnlocked unlocked;
        const auto look_up = [&] {
            if (!unlocked.RunSignalHandlers()) {
                throw BridgeError("interrupted");
            }
            LookAtAll();
        };
        auto [peer, answer] =
            AttachToCreator(m_options.segment, Describe(m_options), look_up,
                            [](const std::string& text) { std::fprintf(stderr, "edgelam: %s\n", text.c_str()); });
        if (answer.status != 0) {
            throw AttachRefused(Utf8(answer.text));
        }
        m_peer = std::move(peer);
        m_fd = std::move(answer.fds.at(0));
        m_memory_bytes = std::stoul(answer.text);
        Map();
    }

    void Map() {
        m_generation = ForkGeneration();
        m_memory = Mapping(m_fd.get(), MemorySize(m_fd.get()), Access::shared);
        m_waiter.emplace(header().doorbells[role()]);
    }

    /// Every Begin passes here.
    Turn& Enter(Side sender, const char* what) {
        Look();
        m_interrupted = false;
        Turn& turn = m_turns[static_cast<int>(sender)];
        const bool send = what[0] == 'S';
        if (send ? turn.sending : turn.receiving) {
            const Side caller = send ? sender : Other(sender);
            FailExchange(Call(caller, what) + " twice without " + Call(caller, send ? "SendEnd" : "RecvEnd") +
                         " in between");
        }
        return turn;
    }

    /// True when there was a Begin; after an interrupted one, or the other side's finish, there is nothing to do.
    bool Leave(bool& inside, Side sender, const char* what, const char* begin) {
        const Side caller = what[0] == 'S' ? sender : Other(sender);
        if (!inside && !m_interrupted && !Told(Other(caller))) {
            FailExchange(Call(caller, what) + " without " + Call(caller, begin) + " before it");
        }
        return std::exchange(inside, false);
    }

    template<class Ready>
    void Wait(Side sender, const char* what, Ready&& ready) {
        if (ready()) {
            return;
        }
        const Side caller = what[0] == 'S' ? sender : Other(sender);
        std::string failure; // is raised with the interpreter's lock held again
        {
            auto& waits = header().waits[role()];
            const std::uint32_t told = PythonThreads() > 1 ? 0 : 1; // another thread may go on
            waits.fetch_add(told);
            PythonUnlocked unlocked;
            BothWait both;
            const auto began = WallClock::now();
            struct Interrupted {};
            try {
                m_waiter->WaitUntil(ready, {}, [&] {
                    if (!unlocked.RunSignalHandlers()) {
                        throw Interrupted();
                    }
                    LookAtAll();
                    if (!ready() && !PeerGone(caller)) {
                        if (told != 0) {
                            both.Check(*this, caller, what);
                        }
                        NobodyYet(began);
                    }
                });
            } catch (const Interrupted&) {
                m_interrupted = true;
            } catch (const BridgeError& error) {
                failure = error.what();
            }
            waits.fetch_add(told);
        }
        if (!failure.empty()) {
            FailExchange(failure);
        }
    }

    /// Says that nobody has opened the memory yet, and gives up in the end, unless a process was announced that lives.
    void NobodyYet(WallClock::time_point since) {
        if (!m_options.creator || m_used) {
            return;
        }
        if (m_listener->Superseded()) {
            throw BridgeError(
                "this process has made " + Segment() +
                " once more, and who opens it gets that one: give each interface a segment name of its own");
        }
        const auto waited = WallClock::now() - since;
        if (!m_noticed && waited > (m_announced ? started_notice_after : notice_after)) {
            m_noticed = true;
            std::fprintf(stderr, "edgelam: %s is there; waiting for %s to open it\n", Segment().c_str(),
                         m_announced && m_announced->pid() > 0
                             ? ("process " + std::to_string(m_announced->pid())).c_str()
                             : PeerName().c_str());
        }
        if (!m_announced && waited > connect_limit) {
            throw BridgeError("nobody has opened " + Segment() + " within 60 s. " +
                              (InPython() ? "The ns-3 program does so with SetIsMemoryCreator(false)"
                                          : "The Python process does so with False as the first argument of "
                                            "Ns3AiMsgInterfaceImpl") +
                              " and the same segment name");
        }
    }

    /// The other side is gone for good: makes a finish of it where that is wanted, otherwise throws.
    bool PeerGone(Side caller) {
        const std::lock_guard looking(m_looking);
        if (m_end.empty()) {
            return false;
        }
        if (caller == Side::python && m_options.handle_finish && header().left[1 - role()] != 0) {
            header().finished[static_cast<int>(Side::cpp)] = 1;
            return true;
        }
        const bool in_order = header().left[1 - role()] != 0;
        throw PeerDied(m_end + (in_order && caller == Side::python
                                    ? ". With handleFinish on both sides, PyGetFinished() "
                                      "tells of an end in order"
                                    : ""));
    }

    /// Sees who came and who went, at most every 0.2 ms; one thread at a time.
    void Look() {
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
            const bool in_order = header().left[1 - role()] != 0;
            m_end = PeerName() + " " + (in_order ? "has closed its end of " + Segment() : m_peer.HowItEnded()) +
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

    void TakeIn(ExchangeListener::News& news) {
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
            SendAttachMessage(news.socket.get(), 0, std::to_string(m_memory_bytes), {m_fd.get()});
        } catch (const BridgeError&) {
            return; // it has gone again
        }
        m_peer = Peer(std::move(news.socket), pid);
        m_used = true;
    }

    /// A new run with the same memory: what the last one left undone is forgotten, the messages' contents stay.
    void StartAfresh() {
        for (const int i : {0, 1}) {
            header().slots[i].full = 0;
            header().finished[i] = 0;
            m_turns[i] = {};
        }
        header().left[1] = 0;
        m_end.clear();
        m_used = false;
    }

    /// Both processes wait, in this exchange or in another that they have, and have done so for a while: it will not
    /// end.
    class BothWait {
      public:
        void Check(const Impl& exchange, Side caller, const char* what) {
            const std::lock_guard lock(OfProcess().mutex);
            const Impl* where = nullptr;
            const int expected = exchange.m_peer        ? exchange.m_peer.pid()
                                 : exchange.m_announced ? exchange.m_announced->pid()
                                                        : 0;
            for (const Impl* each : OfProcess().all) {
                const bool same = each == &exchange || (each->m_peer.pid() > 0 && each->m_peer.pid() == expected);
                if (each->m_peer && same && each->TheirWaits() % 2 == 1) {
                    where = each;
                }
            }
            const std::uint32_t theirs = where == nullptr ? 0 : where->TheirWaits();
            if (where == nullptr || where != m_where || theirs != m_theirs) {
                m_where = where;
                m_theirs = theirs;
                m_since = WallClock::now();
            } else if (WallClock::now() - m_since > both_wait_limit) {
                throw BridgeError("both sides of " + exchange.Segment() + " wait for each other: this one in " +
                                  Call(caller, what) + ", " + where->PeerName() +
                                  (where == &exchange ? " likewise" : " in " + where->Segment()) +
                                  ". Each CppSend needs its PyRecv and each PySend its CppRecv, in an order in "
                                  "which one side always goes on");
            }
        }

      private:
        const Impl* m_where = nullptr;
        std::uint32_t m_theirs = 0;
        WallClock::time_point m_since = WallClock::now();
    };
    std::uint32_t TheirWaits() const { return header().waits[1 - role()]; }

    ExchangeOptions m_options;
    std::size_t m_memory_bytes = 0;
    UniqueFd m_fd;
    Mapping m_memory;
    std::uint32_t m_generation = 0;
    std::optional<Waiter> m_waiter;
    std::optional<ExchangeListener> m_listener; // the creator's
    Peer m_peer;                                // empty while nobody is attached
    std::optional<Peer> m_announced;            // a child that is expected
    std::string m_end;                          // why the last peer is gone
    bool m_used = false;                        // by a peer, since StartAfresh
    bool m_interrupted = false;
    Turn m_turns[2];
    WallClock::time_point m_looked{};
    std::mutex m_looking;
    bool m_noticed = false;
};

Exchange::Exchange(ExchangeOptions options) : m_impl(std::make_unique<Impl>(std::move(options))) {}
Exchange::~Exchange() = default;

bool Exchange::creator() const {
    return m_impl->options().creator;
}
std::byte* Exchange::message(Side sender) const {
    return m_impl->message(sender);
}
std::size_t Exchange::memory_bytes() const {
    return m_impl->memory_bytes();
}
void Exchange::SendBegin(Side sender) {
    m_impl->SendBegin(sender);
}
void Exchange::SendEnd(Side sender) {
    m_impl->SendEnd(sender);
}
void Exchange::RecvBegin(Side sender) {
    m_impl->RecvBegin(sender);
}
void Exchange::RecvEnd(Side sender) {
    m_impl->RecvEnd(sender);
}
void Exchange::SetFinished(Side side) {
    m_impl->SetFinished(side);
}
bool Exchange::Finished(Side side) {
    return m_impl->AskFinished(side);
}

} // namespace edgelam::bridge
