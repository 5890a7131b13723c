// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The one rule of time: simulated time moves only while every attached participant waits.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ns3/event-id.h"

#include "edgelam/bridge/host.h"

namespace edgelam {

/// A request of a participant, copied out of its ring.
struct Request {
    std::uint16_t type;
    std::vector<std::byte> body, tail;

    template<class M>
    bool Is() const {
        return type == bridge::ProtocolMessages::TypeOf<M>();
    }
    template<class M>
    const M& As() const {
        return *reinterpret_cast<const M*>(body.data());
    }
    std::string TailText() const { return {reinterpret_cast<const char*>(tail.data()), tail.size()}; }
};

/// What carries requests out: transfers, observables, controls (see RequestHandler).
class RequestSink {
  public:
    virtual ~RequestSink() = default;
    /// Called in a simulation event of its own.
    virtual void Handle(int participant, const Request& request) = 0;
    /// The participant has left.
    virtual void Detached(int participant) = 0;
    /// True while a transfer or a subscription may still bring a participant something.
    virtual bool Outstanding() const = 0;
};

/// Couples the ns-3 clock to the participants.
///
/// A participant holds (its program runs) or waits. What happens to participants during ns-3 events is collected
/// (Notify). A sync event, placed after everything already scheduled for the same time, delivers it and resumes those
/// who have got something or whose deadline is now; then ns-3 blocks until all attached participants wait again. Their
/// requests, merged by (participant, sequence number), become one fresh event each, at the same simulated time. The
/// earliest deadline becomes the next sync event.
class ClockHost {
  public:
    explicit ClockHost(const bridge::HostOptions& options);

    bridge::Host& host() { return m_host; }
    int participants() const { return m_host.participants(); }

    /// Take in all participants. At t = 0, before any request, all of them hold.
    void Attach(const std::string& catalogue, RequestSink& sink);

    /// Collect a notice for participant p: `send` is called at the next sync, which this asks for, unless p has left.
    void Notify(int p, std::function<void(bridge::Host&)> send);
    /// The same, for a message that refers to no array.
    template<class M>
    void Tell(int p, const M& message, std::string tail = {}) {
        Notify(p, [p, message, tail = std::move(tail)](bridge::Host& host) { host.Send(p, message, tail); });
    }
    /// Tell participant p that its request M, to which it gave the number `id`, is refused.
    template<class M>
    void Refuse(int p, std::uint64_t id, std::string reason) {
        Refuse(p, bridge::ProtocolMessages::TypeOf<M>(), id, std::move(reason));
    }
    /// Something has ended that the deadlock check counts: look again, even if nobody is told.
    void RequestSync();

    /// After Simulator::Run: tell who is still attached that it is over, for reason `why`, and let them go.
    void End(const std::string& why);

    /// 0, or 4 after a deadlock.
    int ExitStatus() const { return m_exitStatus; }

  private:
    struct Participant {
        bool waiting = false;
        std::int64_t deadlineNs = 0;
        std::deque<Request> inbox;     ///< received, not looked at
        std::vector<Request> requests; ///< to take effect when all wait
        std::vector<std::function<void(bridge::Host&)>> notices;
    };

    void Refuse(int p, std::uint16_t message, std::uint64_t id, std::string reason);
    void Sync();
    void Resume(int p);
    void AwaitAll();
    void Drain(int p);
    void CheckDeadlock();
    void Detach(int p);
    int NumAttached() const;
    /// Poll for frames until `done`, at most `seconds` of wall time.
    void PollUntil(double seconds, const std::function<bool()>& done);

    bridge::Host m_host;
    std::size_t m_longestText; ///< that fits a message
    RequestSink* m_sink = nullptr;
    std::vector<Participant> m_participants;
    ns3::EventId m_syncEvent;
    ns3::EventId m_deadlineEvent;
    bool m_over = false;
    int m_exitStatus = 0;
};

} // namespace edgelam
