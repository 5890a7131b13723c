// SPDX-License-Identifier: GPL-2.0-only
#include "nr-bearers.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "ns3/simulator.h"

namespace edgelam::nr {

namespace {

/// prioritisedBitRate of TS 38.331, kB/s; beyond: infinity.
constexpr std::array prioritised_rates{8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768, 65536};
constexpr double bucket_s = 0.1; ///< bucketSizeDuration
constexpr double debt_s = 0.02, least_debt_bytes = 2000;
constexpr std::uint32_t pdcp_header = 3, least_status_bytes = 16; // room for a report of missing data

} // namespace

Bearers::Channel::Channel(const QosBearer& from, Direction direction, std::uint8_t order)
    : bearer(from.settings), number(order), fiveQi(FiveQiOf(from.fiveQi)),
      guaranteedBps(from.guaranteedBps[static_cast<std::size_t>(direction)]) {}

double Bearers::Channel::PrioritisedBytesPerS() const {
    for (const int rate : prioritised_rates) {
        if (1e3 * rate >= guaranteedBps / 8) {
            return 1e3 * rate;
        }
    }
    return std::numeric_limits<double>::infinity();
}

void Bearers::Channel::Fill() {
    const double seconds = (ns3::Simulator::Now() - filled).GetSeconds();
    filled = ns3::Simulator::Now();
    const double prioritised = PrioritisedBytesPerS();
    bucket = std::isinf(prioritised) ? prioritised : std::min(bucket + prioritised * seconds, prioritised * bucket_s);
    const double rate = guaranteedBps / 8;
    tokens = std::min(tokens + rate * seconds, rate * averaging_window_s);
}

Bearers::Bearers(const BearerSettings& settings) : Bearers(std::array{QosBearer{settings}}, Direction::Downlink) {}

Bearers::Bearers(std::span<const QosBearer> bearers, Direction direction) {
    if (bearers.empty() || bearers.size() > most) {
        throw std::invalid_argument("bearers: " + std::to_string(bearers.size()) + "; legal are 1 to " +
                                    std::to_string(most));
    }
    for (const auto& each : bearers) {
        m_channels.push_back(std::make_unique<Channel>(each, direction, static_cast<std::uint8_t>(m_channels.size())));
        CheckRate(m_channels.back()->fiveQi, m_channels.back()->guaranteedBps);
    }
    m_order.resize(bearers.size());
    std::iota(m_order.begin(), m_order.end(), std::uint8_t{0});
    std::stable_sort(m_order.begin(), m_order.end(),
                     [&](auto a, auto b) { return m_channels[a]->fiveQi.priority < m_channels[b]->fiveQi.priority; });
}

void Bearers::CheckRate(const FiveQi& fiveQi, double bps) {
    if (!(bps >= 0) || std::isinf(bps) || (bps > 0 && !fiveQi.Guaranteed())) {
        std::ostringstream text;
        text << "bearer of 5QI " << fiveQi.value << ": a guaranteed rate of " << bps << " bit/s; legal is "
             << (fiveQi.Guaranteed() ? "0 or more" : "0, since this 5QI has no guaranteed rate");
        throw std::invalid_argument(text.str());
    }
}

void Bearers::SetGuaranteed(unsigned bearer, double bps) {
    Channel& channel = *m_channels.at(bearer);
    CheckRate(channel.fiveQi, bps);
    channel.Fill();
    channel.guaranteedBps = bps;
}

void Bearers::SetWake(const std::function<void()>& wake) {
    for (auto& each : m_channels) {
        each->bearer.SetWake(wake, wake);
    }
}

void Bearers::Release() {
    for (auto& each : m_channels) {
        each->bearer.Release();
    }
}

void Bearers::Reestablish() {
    for (auto& each : m_channels) {
        each->bearer.Reestablish();
    }
}

Bearer::Counters Bearers::counters() const {
    Bearer::Counters sum{};
    for (const auto& each : m_channels) {
        const auto one = each->bearer.counters();
        sum.sentPackets += one.sentPackets;
        sum.droppedPackets += one.droppedPackets;
        sum.retransmittedPdus += one.retransmittedPdus;
        sum.deliveredPackets += one.deliveredPackets;
        sum.deliveredBytes += one.deliveredBytes;
        sum.lostPackets += one.lostPackets;
    }
    return sum;
}

std::uint64_t Bearers::BacklogBytes() const {
    std::uint64_t bytes = 0;
    for (const auto& each : m_channels) {
        bytes += each->bearer.BacklogBytes();
    }
    return bytes;
}

std::uint64_t Bearers::SignallingBytes() const {
    std::uint64_t bytes = 0;
    for (const auto& each : m_channels) {
        bytes += each->bearer.SignallingBytes();
    }
    return bytes;
}

std::uint32_t Bearers::SignallingStatusBytes() const {
    std::uint32_t bytes = 0;
    for (const auto& each : m_channels) {
        const Bearer* signalling = each->bearer.GetSignalling();
        bytes += signalling != nullptr ? signalling->StatusBytes() : 0;
    }
    return bytes;
}

std::uint32_t Bearers::StatusBytes() const {
    std::uint32_t bytes = 0;
    for (const auto& each : m_channels) {
        bytes += each->bearer.StatusBytes();
    }
    return bytes;
}

unsigned Bearers::Priorities() const {
    if (m_channels.size() == 1) {
        return m_channels[0]->bearer.Priorities();
    }
    unsigned bits = 0;
    for (const auto& each : m_channels) {
        bits |= each->bearer.BacklogBytes() > 0 ? 1U << ClassOf(each->fiveQi.priority) : 0;
        bits |= each->bearer.SignallingBytes() > 0 ? 1U << 7 : 0;
    }
    return bits;
}

unsigned Bearers::Priority() const {
    if (m_channels.size() == 1) {
        return m_channels[0]->bearer.Priority();
    }
    unsigned highest = 0;
    for (const auto& each : m_channels) {
        if (each->guaranteedBps == 0 && each->bearer.BacklogBytes() > 0) {
            highest = std::max(highest, ClassOf(each->fiveQi.priority));
        }
        highest = each->bearer.SignallingBytes() > 0 ? 7 : highest;
    }
    return highest;
}

unsigned Bearers::Urgency() const {
    const unsigned bits = Priorities();
    return bits == 0 ? 0 : static_cast<unsigned>(std::bit_width(bits)) - 1;
}

bool Bearers::Guarantees(unsigned ofClass) const {
    return std::any_of(m_channels.begin(), m_channels.end(), [&](const auto& each) {
        return each->guaranteedBps > 0 && ClassOf(each->fiveQi.priority) == ofClass;
    });
}

unsigned Bearers::StatusPriority() const {
    if (m_channels.size() == 1) {
        return m_channels[0]->bearer.StatusPriority();
    }
    unsigned highest = 0;
    for (const auto& each : m_channels) {
        highest = each->bearer.StatusBytes() > 0 ? std::max(highest, ClassOf(each->fiveQi.priority)) : highest;
        const Bearer* signalling = each->bearer.GetSignalling();
        highest = signalling != nullptr && signalling->StatusBytes() > 0 ? 7 : highest;
    }
    return highest;
}

void Bearers::FillBacklog(PerClass& bytes) const {
    bytes = {};
    if (Plain()) {
        return;
    }
    for (const auto& each : m_channels) {
        bytes[ClassOf(each->fiveQi.priority)] += each->bearer.BacklogBytes();
    }
}

void Bearers::TakeOf(Channel& channel, std::uint32_t& room, double enough, std::vector<RlcPdu>& out) {
    const std::size_t before = out.size();
    const auto limit = static_cast<std::uint32_t>(std::min(enough, static_cast<double>(room)));
    const std::uint32_t used = channel.bearer.Take(room, out, true, limit);
    room -= used;
    channel.bucket -= used;
    for (std::size_t i = before; i < out.size(); ++i) {
        out[i].bearer = channel.number;
        channel.tokens -= out[i].length - (out[i].last ? std::min(pdcp_header, out[i].length) : 0);
    }
    channel.tokens = std::max(channel.tokens, -std::max(channel.guaranteedBps / 8 * debt_s, least_debt_bytes));
}

std::uint32_t Bearers::Take(std::uint32_t bytes, std::vector<RlcPdu>& out, bool data) {
    if (Plain()) {
        return m_channels[0]->bearer.Take(bytes, out, data);
    }
    std::uint32_t room = bytes;
    for (const auto& each : m_channels) { // messages before all data
        const std::size_t before = out.size();
        room -= each->bearer.Take(room, out, false);
        for (std::size_t i = before; i < out.size(); ++i) {
            out[i].bearer = each->number;
        }
    }
    if (!data) {
        return bytes - room;
    }
    for (const auto i : m_order) {
        m_channels[i]->Fill();
        if (m_channels[i]->bucket > 0) {
            TakeOf(*m_channels[i], room, std::ceil(m_channels[i]->bucket), out);
        }
    }
    for (const auto i : m_order) {
        TakeOf(*m_channels[i], room, bytes, out);
    }
    return bytes - room;
}

std::uint32_t Bearers::TakeStatuses(std::uint32_t bytes, std::vector<RlcStatus>& out) {
    std::uint32_t room = bytes;
    for (const auto i : m_order) {
        if (m_channels[i]->bearer.StatusBytes() > 0 && room >= least_status_bytes) {
            out.push_back(m_channels[i]->bearer.TakeStatus(room));
            out.back().bearer = i;
            room -= std::min(room, out.back().Bytes());
        }
    }
    return bytes - room;
}

Guarantee Bearers::Guaranteed() {
    Guarantee sum;
    for (const auto& each : m_channels) {
        if (each->guaranteedBps > 0 && each->bearer.BacklogBytes() > 0) {
            each->Fill();
            if (each->tokens > 0) {
                sum.bytes += std::min(static_cast<std::uint64_t>(std::ceil(each->tokens)), each->bearer.BacklogBytes());
                sum.priority = std::min(sum.priority, each->fiveQi.priority);
            }
        }
    }
    return sum;
}

Guarantee Bearers::Guaranteed(const PerClass& known) {
    Guarantee sum;
    PerClass left = known;
    for (const auto i : m_order) {
        Channel& each = *m_channels[i];
        std::uint64_t& waits = left[ClassOf(each.fiveQi.priority)];
        if (each.guaranteedBps > 0 && waits > 0) {
            each.Fill();
            if (each.tokens > 0) {
                const auto bytes = std::min(static_cast<std::uint64_t>(std::ceil(each.tokens)), waits);
                sum.bytes += bytes;
                waits -= bytes;
                sum.priority = std::min(sum.priority, each.fiveQi.priority);
            }
        }
    }
    return sum;
}

} // namespace edgelam::nr
