// SPDX-License-Identifier: GPL-2.0-only
#include "clock-host.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <thread>

#include "ns3/log.h"
#include "ns3/nstime.h"
#include "ns3/simulator.h"

#include "participant-time.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamClockHost");

namespace {

std::vector<std::byte> Copy(std::span<const std::byte> bytes) {
    return {bytes.begin(), bytes.end()};
}

} // namespace

ClockHost::ClockHost(const bridge::HostOptions& options)
    : m_host(options), m_longestText(options.ring_bytes / 2), m_participants(m_host.participants()) {}

void ClockHost::Attach(const std::string& catalogue, RequestSink& sink) {
    m_sink = &sink;
    m_host.AwaitParticipants(catalogue);
    NS_LOG_INFO(participants() << " participants are attached");
    RequestSync();
}

void ClockHost::Notify(int p, std::function<void(bridge::Host&)> send) {
    if (m_host.Attached(p)) {
        m_participants[p].notices.push_back(std::move(send));
    }
    RequestSync();
}

void ClockHost::Refuse(int p, std::uint16_t message, std::uint64_t id, std::string reason) {
    NS_LOG_INFO("participant " << p << " is refused its " << bridge::ProtocolMessages::NameOf(message) << " " << id
                               << ": " << reason);
    Tell(p, bridge::Refused{id, message, 0}, std::move(reason));
}

void ClockHost::RequestSync() {
    if (!m_over && !m_syncEvent.IsPending()) {
        m_syncEvent = ns3::Simulator::ScheduleNow(&ClockHost::Sync, this);
    }
}

void ClockHost::Sync() {
    if (m_over) {
        return;
    }
    m_syncEvent.Cancel();
    m_deadlineEvent.Cancel();
    m_host.NoteTime(NowNs());
    for (int p = 0; p < participants(); ++p) {
        Participant& participant = m_participants[p];
        if (m_host.Attached(p) && participant.waiting &&
            (!participant.notices.empty() || participant.deadlineNs <= NowNs())) {
            Resume(p);
        }
    }
    AwaitAll();
    std::int64_t nextNs = bridge::never_ns;
    for (int p = 0; p < participants(); ++p) {
        for (Request& request : m_participants[p].requests) {
            NS_LOG_LOGIC("participant " << p << " asks for a " << bridge::ProtocolMessages::NameOf(request.type));
            ns3::Simulator::ScheduleNow([this, p, request = std::move(request)] { m_sink->Handle(p, request); });
        }
        m_participants[p].requests.clear();
        if (m_host.Attached(p)) {
            nextNs = std::min(nextNs, m_participants[p].deadlineNs);
        }
    }
    if (NumAttached() == 0) {
        m_over = true;
        ns3::Simulator::Stop();
    } else if (nextNs != bridge::never_ns) {
        const auto delay = ns3::NanoSeconds(std::max<std::int64_t>(nextNs - NowNs(), 0)); // a deadline may have passed
        m_deadlineEvent = ns3::Simulator::Schedule(delay, &ClockHost::Sync, this);
    } else {
        ns3::Simulator::ScheduleNow(&ClockHost::CheckDeadlock, this); // after the requests
    }
}

void ClockHost::Resume(int p) {
    Participant& participant = m_participants[p];
    NS_LOG_LOGIC("participant " << p << " goes on, told of " << participant.notices.size() << " events");
    for (const auto& send : participant.notices) {
        send(m_host);
    }
    participant.notices.clear();
    participant.waiting = false;
    m_host.Send(p, bridge::Resume{NowNs()});
}

void ClockHost::AwaitAll() {
    for (;;) {
        bool all = true;
        for (int p = 0; p < participants(); ++p) {
            Drain(p);
            all = all && (!m_host.Attached(p) || m_participants[p].waiting);
        }
        if (all) {
            return;
        }
        m_host.WaitForFrames();
    }
}

void ClockHost::Drain(int p) {
    Participant& participant = m_participants[p];
    // What follows a Wait belongs to the time after the next Resume: it stays in the inbox.
    for (bridge::Frame frame; m_host.Receive(p, frame);) {
        participant.inbox.push_back({frame.type, Copy(frame.body), Copy(frame.tail)});
    }
    while (!participant.waiting && !participant.inbox.empty() && m_host.Attached(p)) {
        Request request = std::move(participant.inbox.front());
        participant.inbox.pop_front();
        if (request.Is<bridge::Wait>()) {
            participant.waiting = true;
            participant.deadlineNs = request.As<bridge::Wait>().deadline_ns;
            NS_LOG_LOGIC("participant " << p << " waits until " << participant.deadlineNs << " ns");
            if (participant.deadlineNs < 0) {
                m_host.Violation(p, "a Wait until " + std::to_string(participant.deadlineNs) + " ns");
            }
        } else if (request.Is<bridge::Detach>()) {
            Detach(p);
        } else {
            participant.requests.push_back(std::move(request));
        }
    }
}

void ClockHost::Detach(int p) {
    NS_LOG_INFO("participant " << p << " leaves");
    m_host.MarkDetached(p);
    m_participants[p].notices.clear();
    m_sink->Detached(p);
}

int ClockHost::NumAttached() const {
    int count = 0;
    for (int p = 0; p < m_host.participants(); ++p) {
        count += m_host.Attached(p) ? 1 : 0;
    }
    return count;
}

void ClockHost::CheckDeadlock() {
    if (m_over || m_syncEvent.IsPending() || m_sink->Outstanding()) {
        return;
    }
    // Everybody waits, without a deadline, for what nobody will do.
    std::vector<std::string> explanations(participants());
    for (int p = 0; p < participants(); ++p) {
        if (m_host.Attached(p)) {
            m_host.Send(p, bridge::Explain{NowNs()});
        }
    }
    PollUntil(10, [&] {
        bool all = true;
        for (int p = 0; p < participants(); ++p) {
            auto& inbox = m_participants[p].inbox;
            while (!inbox.empty() && explanations[p].empty()) {
                if (inbox.front().Is<bridge::Explanation>()) {
                    explanations[p] = m_host.Describe(p) + ":\n" + inbox.front().TailText();
                } else if (inbox.front().Is<bridge::Detach>()) {
                    Detach(p);
                }
                inbox.pop_front();
            }
            all = all && (!m_host.Attached(p) || !explanations[p].empty());
        }
        return all;
    });
    std::string text = "deadlock at t = " + std::to_string(static_cast<double>(NowNs()) * 1e-9) +
                       " s: every participant waits without a deadline, and no transfer or subscription is outstanding";
    for (int p = 0; p < participants(); ++p) {
        if (!explanations[p].empty()) {
            text.append("\n").append(explanations[p]);
        } else if (m_host.Attached(p)) {
            text.append("\n").append(m_host.Describe(p)).append(": gave no explanation");
        }
    }
    text.resize(std::min(text.size(), m_longestText));
    NS_LOG_WARN(text);
    std::cerr << text << std::endl;
    m_over = true;
    m_exitStatus = 4;
    for (int p = 0; p < participants(); ++p) {
        if (m_host.Attached(p)) {
            m_host.Send(p, bridge::Deadlock{NowNs()}, std::string_view(text));
        }
    }
    PollUntil(10, [this] { return NumAttached() == 0; });
    ns3::Simulator::Stop();
}

void ClockHost::End(const std::string& why) {
    if (m_over) {
        return;
    }
    m_over = true;
    NS_LOG_INFO("the end: " << why);
    for (int p = 0; p < participants(); ++p) {
        if (m_host.Attached(p)) {
            for (const auto& send : m_participants[p].notices) {
                send(m_host);
            }
            m_host.Send(p, bridge::Ended{NowNs()}, std::string_view(why));
        }
    }
    PollUntil(10, [this] { return NumAttached() == 0; });
}

void ClockHost::PollUntil(double seconds, const std::function<bool()>& done) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::duration<double>(seconds);
    for (;;) {
        for (int p = 0; p < participants(); ++p) {
            for (bridge::Frame frame; m_host.Attached(p) && m_host.Receive(p, frame);) {
                if (m_over && frame.Is<bridge::Detach>()) {
                    m_host.MarkDetached(p);
                } else {
                    m_participants[p].inbox.push_back({frame.type, Copy(frame.body), Copy(frame.tail)});
                }
            }
        }
        if (done() || Clock::now() >= end) {
            return;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

} // namespace edgelam
