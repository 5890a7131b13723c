// SPDX-License-Identifier: GPL-2.0-only
#include "nr-random-access.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

#include "ns3/log.h"
#include "ns3/simulator.h"

#include "nr-control-channel.h"

NS_LOG_COMPONENT_DEFINE("NrRandomAccess");

namespace edgelam::nr {

namespace {

constexpr double sequence_length = 139, preamble_symbols = 4, false_alarm = 1e-3, margin_db = 3;
constexpr double noise_dbm_hz = -174;
constexpr std::uint32_t own_preamble = 64; ///< and on: nobody else has it

void Refuse(const char* name, double value, const char* legal) {
    std::ostringstream text;
    text << "random access: " << name << " " << value << "; legal are " << legal;
    throw std::invalid_argument(text.str());
}

} // namespace

void RandomAccessSettings::Check() const {
    const double periodMs = 1e3 * period.GetSeconds();
    if (!(periodMs >= 10 && periodMs <= 160)) {
        Refuse("period in ms", periodMs, "10 to 160 (TS 38.211 table 6.3.3.2-3)");
    }
    if (preambles < 1 || preambles > 63) {
        Refuse("preambles for contention", preambles, "1 to 63");
    }
    if (!(targetDbm >= -202 && targetDbm <= -60)) {
        Refuse("preambleReceivedTargetPower in dBm", targetDbm, "-202 to -60");
    }
    if (!(rampingStepDb >= 0 && rampingStepDb <= 6)) {
        Refuse("powerRampingStep in dB", rampingStepDb, "0 to 6");
    }
}

RandomAccessChannel::RandomAccessChannel(const RandomAccessSettings& settings, RandomAccessCarrier carrier,
                                         ns3::Ptr<ns3::UniformRandomVariable> random)
    : m_settings(settings), m_carrier(std::move(carrier)), m_random(random) {
    settings.Check();
}

RandomAccessChannel::~RandomAccessChannel() {
    m_event.Cancel();
    for (auto& [ue, procedure] : m_procedures) {
        procedure.next.Cancel();
    }
}

ns3::Time RandomAccessChannel::NextOccasion(ns3::Time from) const {
    const std::int64_t period = m_settings.period.GetNanoSeconds();
    std::int64_t number = from.GetNanoSeconds() / period; // the occasion of this period may be still to come
    ns3::Time at = m_carrier.uplinkFrom(ns3::NanoSeconds(number * period));
    while (at < from) {
        at = m_carrier.uplinkFrom(ns3::NanoSeconds(++number * period));
    }
    return at;
}

double RandomAccessChannel::ReceivedDbm(double lossDb, unsigned attempt) const {
    return std::min(m_carrier.uePowerDbm - lossDb, m_settings.targetDbm + (attempt - 1) * m_settings.rampingStepDb);
}

double RandomAccessChannel::Loss(double receivedDbm) const {
    const double noiseDbm =
        noise_dbm_hz + 10 * std::log10(m_carrier.subcarrierHz * sequence_length) + m_carrier.noiseFigureDb;
    const double energy = sequence_length * preamble_symbols * std::pow(10, (receivedDbm - noiseDbm - margin_db) / 10);
    return MissedDetection(energy, false_alarm) / (1 - false_alarm); // what noise alone gives does not help anybody
}

void RandomAccessChannel::Start(std::uint32_t ue, bool dedicated, LossDb lossDb, Done done) {
    if (m_procedures.contains(ue)) {
        throw std::logic_error("random access: UE " + std::to_string(ue) + " has a procedure already");
    }
    m_procedures[ue] = {dedicated, 0, std::move(lossDb), std::move(done), {}};
    Wait(ue, ns3::Simulator::Now());
}

void RandomAccessChannel::Stop(std::uint32_t ue) {
    const auto found = m_procedures.find(ue);
    if (found == m_procedures.end()) {
        return;
    }
    found->second.next.Cancel();
    m_procedures.erase(found);
    for (auto& [at, ues] : m_waiting) {
        std::erase(ues, ue);
    }
}

void RandomAccessChannel::Wait(std::uint32_t ue, ns3::Time from) {
    const ns3::Time at = NextOccasion(from);
    auto& ues = m_waiting[at];
    ues.insert(std::ranges::lower_bound(ues, ue), ue);
    if (at == m_waiting.begin()->first && (!m_event.IsPending() || ues.size() == 1)) {
        m_event.Cancel();
        m_event = ns3::Simulator::Schedule(at - ns3::Simulator::Now(), &RandomAccessChannel::Occasion, this);
    }
}

void RandomAccessChannel::Occasion() {
    const ns3::Time now = ns3::Simulator::Now();
    const auto sending = std::move(m_waiting.begin()->second);
    m_waiting.erase(m_waiting.begin());
    if (!m_waiting.empty()) {
        m_event = ns3::Simulator::Schedule(m_waiting.begin()->first - now, &RandomAccessChannel::Occasion, this);
    }
    struct Sent {
        std::uint32_t ue, preamble;
        bool heard;
    };
    std::vector<Sent> all;
    for (const auto ue : sending) {
        Procedure& procedure = m_procedures.at(ue);
        const double lossDb = procedure.lossDb(), receivedDbm = ReceivedDbm(lossDb, ++procedure.attempts);
        if (m_carrier.sent) {
            m_carrier.sent(ue, receivedDbm + lossDb);
        }
        const std::uint32_t preamble =
            procedure.dedicated ? own_preamble + ue : m_random->GetInteger(0, m_settings.preambles - 1);
        all.push_back({ue, preamble, m_random->GetValue() >= Loss(receivedDbm)});
        NS_LOG_LOGIC("UE " << ue << ", attempt " << procedure.attempts << ", preamble " << preamble << " at "
                           << receivedDbm << " dBm" << (all.back().heard ? "" : ": not heard"));
    }
    for (const auto& each : all) {
        Procedure& procedure = m_procedures.at(each.ue);
        const auto alike = std::ranges::count_if(
            all, [&](const Sent& other) { return other.preamble == each.preamble && other.heard; });
        if (!each.heard && alike == 0) { // no response
            Wait(each.ue, now + m_settings.responseWindow);
        } else if (!each.heard || alike > 1) { // the response is taken for one's own, and contention is not resolved
            const ns3::Time backoff = ns3::Seconds(m_random->GetValue(0, m_settings.backoff.GetSeconds()));
            Wait(each.ue, now + m_carrier.responseDelay + m_settings.contention + backoff);
        } else {
            const ns3::Time delay =
                m_carrier.responseDelay + (procedure.dedicated ? ns3::Time() : m_carrier.contentionDelay);
            procedure.next = ns3::Simulator::Schedule(delay, &RandomAccessChannel::Succeed, this, each.ue);
        }
    }
}

void RandomAccessChannel::Succeed(std::uint32_t ue) {
    const auto node = m_procedures.extract(ue);
    NS_LOG_LOGIC("UE " << ue << " has access after " << node.mapped().attempts << " preambles");
    node.mapped().done(node.mapped().attempts);
}

} // namespace edgelam::nr
