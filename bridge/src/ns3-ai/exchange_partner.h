// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The other process of an exchange: how it comes, how it is seen that it has gone, and that it will never answer.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "edgelam/bridge/ns3-ai/exchange.h"
#include "exchange_link.h"
#include "exchange_memory.h"

namespace edgelam::bridge {

/// No thread looks after it: `Look` does, now and then, whatever this process waits for.
class Partner {
  public:
    /// Of an exchange with these options. `afresh` is called before another run with the same memory begins.
    Partner(const ExchangeOptions& options, std::function<void()> afresh);
    ~Partner();
    Partner(const Partner&) = delete;
    Partner& operator=(const Partner&) = delete;

    /// The creator makes the memory and listens. Throws BridgeError if the process that started this one has made it.
    void Make();
    /// The opener finds the creator, and opens its memory. Throws BridgeError.
    void Open();
    ExchangeMemory& memory() { return m_memory; }
    const ExchangeMemory& memory() const { return m_memory; }

    /// Sees who came and who went, at most every 0.2 ms; one thread at a time.
    void Look();
    /// The same for all exchanges of this process: the other side may open them in any order.
    static void LookAtAll();
    /// It is gone for good: makes a finish of it where that is wanted by `caller`, otherwise throws PeerDied. False
    /// while it may still come or answer.
    bool Gone(Side caller);
    /// Says that nobody has opened the memory yet, and gives up in the end, unless a process was announced that lives.
    void NobodyYet(WallClock::time_point since);
    /// It is not looked at any more.
    void Forget();
    void RingPeer() { m_memory.header().doorbells[1 - role()].Ring(); }

    /// 0: the creator, 1: the opener.
    int role() const { return m_options.creator ? 0 : 1; }
    std::string Segment() const;
    /// "the Python process (pid 4711)"
    std::string Name() const;

  private:
    friend class BothWait;
    void TakeIn(ExchangeListener::News& news);
    void StartAfresh();
    std::uint32_t Waits() const { return m_memory.header().waits[1 - role()]; }

    const ExchangeOptions& m_options;
    std::function<void()> m_afresh;
    ExchangeMemory m_memory;
    std::uint32_t m_generation = 0;
    std::optional<ExchangeListener> m_listener; // the creator's
    Peer m_peer;                                // empty while nobody is attached
    std::optional<Peer> m_announced;            // a child that is expected
    std::string m_end;                          // why the last peer is gone
    bool m_used = false;                        // by a peer, since StartAfresh
    bool m_noticed = false;
    WallClock::time_point m_looked{};
    std::mutex m_looking;
};

/// Both processes wait, in this exchange or in another that they have, and have done so for a while: it will not end.
class BothWait {
  public:
    /// Of a wait that goes on; `call`: what this side waits in. Throws BridgeError.
    void Check(const Partner& partner, const std::string& call);

  private:
    const Partner* m_where = nullptr;
    std::uint32_t m_theirs = 0;
    WallClock::time_point m_since = WallClock::now();
};

} // namespace edgelam::bridge
