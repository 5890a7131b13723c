// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The data radio bearers of a UE in one direction, and who of them fills a transport block (TS 38.321 5.4.3.1).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "channel-link.h"
#include "nr-bearer.h"
#include "nr-five-qi.h"

namespace edgelam::nr {

/// One bearer of a UE, in both directions.
struct QosBearer {
    BearerSettings settings{};
    unsigned fiveQi = 9;
    /// [direction] guaranteed rate of the packets, bit/s; with 5QIs of guaranteed rate only
    std::array<double, 2> guaranteedBps{};
};

/// What has to be sent now to keep guaranteed rates.
struct Guarantee {
    std::uint64_t bytes = 0;
    unsigned priority = 127; ///< the lowest priority level among them
};

/// One bearer or several, each with its own RLC and PDCP entities.
///
/// A single bearer takes all of a block, and its priorities are those of its packets. Of several, each is a logical
/// channel. Its priority is the order of the priority levels of their 5QIs. It first gets its prioritised bit rate: the
/// guaranteed rate, rounded up to a value of TS 38.331, or 8 kB/s; then they are served in strict order. The buckets
/// hold 100 ms. Priorities are the classes of 5QIs (ClassOf). Data of a guaranteed rate has a class only before the gNB
/// knows how much of it waits: beyond its rate it has the lowest.
///
/// Guaranteed rates are token buckets over the averaging window. What a bearer gets beyond its rate is a debt of at
/// most 20 ms (or 2000 bytes), so it keeps its rate after it had more.
class Bearers {
  public:
    static constexpr unsigned most = 8;
    using PerClass = std::array<std::uint64_t, 8>;

    /// One bearer without guaranteed rate.
    explicit Bearers(const BearerSettings& settings);
    /// Throws std::invalid_argument for no bearer or more than 8, a 5QI that does not exist, a guaranteed rate that is
    /// not one, or one with a 5QI that has none.
    Bearers(std::span<const QosBearer> bearers, Direction direction);

    unsigned Size() const { return static_cast<unsigned>(m_channels.size()); }
    Bearer& operator[](unsigned bearer) { return m_channels.at(bearer)->bearer; }
    const Bearer& operator[](unsigned bearer) const { return m_channels.at(bearer)->bearer; }
    void SetWake(const std::function<void()>& wake);
    void Release();
    void Reestablish();
    Bearer::Counters counters() const; ///< of all

    /// The bytes that wait at the sending ends.
    std::uint64_t BacklogBytes() const;
    /// The bytes of messages among them, and those of status reports about messages that wait at the receiving ends.
    std::uint64_t SignallingBytes() const;
    std::uint32_t SignallingStatusBytes() const;
    /// Whether there is a single bearer without guaranteed rate.
    bool Plain() const { return m_channels.size() == 1 && m_channels[0]->guaranteedBps == 0; }
    /// Whether a bearer of this class has a guaranteed rate.
    bool Guarantees(unsigned ofClass) const;
    /// The bytes of status reports that wait at the receiving ends.
    std::uint32_t StatusBytes() const;
    /// One bit for each class of which something waits at the sending ends; several classes are several logical channel
    /// groups.
    unsigned Priorities() const;
    /// The highest class of waiting data without guaranteed rate; 0 if nothing waits.
    unsigned Priority() const;
    /// The same with guaranteed rates, for who does not know how much waits.
    unsigned Urgency() const;
    /// The class of the most urgent status report that waits; 0 if none waits.
    unsigned StatusPriority() const;
    /// The bytes that wait, by class; zeros for a single bearer without guaranteed rate.
    void FillBacklog(PerClass& bytes) const;

    /// Fill a transport block. \param data false: messages only \return bytes used
    std::uint32_t Take(std::uint32_t bytes, std::vector<RlcPdu>& out, bool data = true);
    /// Take as many of the status reports as fit. \return bytes used
    std::uint32_t TakeStatuses(std::uint32_t bytes, std::vector<RlcStatus>& out);
    /// At the receiving end of the bearer of this PDU, or the sending end of that of this report.
    void Receive(const RlcPdu& pdu) { m_channels[pdu.bearer]->bearer.Receive(pdu); }
    void Receive(const RlcStatus& status) { m_channels[status.bearer]->bearer.Receive(status); }

    /// What guaranteed rates ask for, of what waits.
    Guarantee Guaranteed();
    /// The same for who knows what waits by class.
    Guarantee Guaranteed(const PerClass& known);
    double GuaranteedBps(unsigned bearer) const { return m_channels.at(bearer)->guaranteedBps; }
    /// Throw std::invalid_argument as the constructor does.
    void CheckGuaranteed(unsigned bearer, double bps) const { CheckRate(m_channels.at(bearer)->fiveQi, bps); }
    void SetGuaranteed(unsigned bearer, double bps);
    unsigned FiveQiValue(unsigned bearer) const { return m_channels.at(bearer)->fiveQi.value; }

  private:
    struct Channel {
        Channel(const QosBearer& from, Direction direction, std::uint8_t number);
        Bearer bearer;
        std::uint8_t number;
        const FiveQi& fiveQi;
        double guaranteedBps = 0;
        double bucket = 0, tokens = 0; ///< bytes
        ns3::Time filled;              ///< when they were filled
        double PrioritisedBytesPerS() const;
        void Fill();
    };
    static void CheckRate(const FiveQi& fiveQi, double bps);
    void TakeOf(Channel& channel, std::uint32_t& room, double enough, std::vector<RlcPdu>& out);

    std::vector<std::unique_ptr<Channel>> m_channels;
    std::vector<std::uint8_t> m_order; ///< by priority
};

} // namespace edgelam::nr
