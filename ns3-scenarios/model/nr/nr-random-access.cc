// SPDX-License-Identifier: GPL-2.0-only
#include "nr-random-access.h"

#include <algorithm>
#include <cmath>
#include <set>
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
constexpr double response_bits =
    8 * (1 + 8); ///< TS 38.321 6.1.5 and 6.2.3: backoff indicator, response with its subheader
constexpr double third_bits = 8 * (1 + 6);  ///< CCCH of 48 bits, or C-RNTI and a buffer status report (6.1.3)
constexpr double fourth_bits = 8 * (1 + 6); ///< UE Contention Resolution Identity (6.1.3.3)
constexpr double third_subcarriers = 2 * 12, reference_hz = 180e3;
constexpr double capture =
    2; ///< of one message 3 over the others, which have the same reference signals and scrambling
constexpr double least_loss = 1e-9; ///< no number is drawn below this probability

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
    if (transmissions < 3 || transmissions > 200) {
        Refuse("preambleTransMax", transmissions, "3 to 200");
    }
    if (thirdMessages < 1 || thirdMessages > 16) {
        Refuse("transmissions of message 3", thirdMessages, "1 to 16");
    }
    const auto check = [](const char* name, ns3::Time value, double smallest, double largest, const char* legal) {
        const double ms = 1e3 * value.GetSeconds();
        if (!(ms >= smallest && ms <= largest)) {
            Refuse(name, ms, legal);
        }
    };
    check("ra-ResponseWindow in ms", responseWindow, 1, 10, "1 to 10 (TS 38.321 5.1.4)");
    check("ra-ContentionResolutionTimer in ms", contention, 8, 64, "8 to 64");
    check("backoff in ms", backoff, 0, 1920, "0 to 1920 (TS 38.321 table 7.2-1)");
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
        procedure.success.Cancel();
    }
    for (auto& [number, contention] : m_contentions) {
        contention.next.Cancel();
    }
}

bool RandomAccessChannel::Reserve(std::uint32_t ue) {
    for (unsigned preamble = m_settings.preambles; preamble < all_preambles; ++preamble) {
        if (std::ranges::none_of(m_reserved, [&](const auto& each) { return each.second == preamble; })) {
            m_reserved[ue] = preamble;
            return true;
        }
    }
    return false;
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

double RandomAccessChannel::ThirdDbm(double lossDb, unsigned attempt) const {
    const double widthDb = 10 * std::log10(third_subcarriers * m_carrier.subcarrierHz / reference_hz);
    return std::min(m_carrier.uePowerDbm - widthDb - lossDb,
                    m_settings.targetDbm + (attempt - 1) * m_settings.rampingStepDb);
}

double RandomAccessChannel::DownSnr(const Procedure& procedure) const {
    const double noiseDbm = noise_dbm_hz + 10 * std::log10(m_carrier.subcarrierHz) + m_carrier.ueNoiseFigureDb;
    return std::pow(10, (m_carrier.subcarrierDbm - procedure.lossDb() - noiseDbm) / 10);
}

bool RandomAccessChannel::Lost(double probability) const {
    return probability > least_loss && m_random->GetValue() < probability;
}

void RandomAccessChannel::Start(std::uint32_t ue, LossDb lossDb, Done done, std::function<void()> problem) {
    if (m_procedures.contains(ue)) {
        throw std::logic_error("random access: UE " + std::to_string(ue) + " has a procedure already");
    }
    m_procedures[ue] = {++m_procedureNumber, 0, std::move(lossDb), std::move(done), std::move(problem), {}};
    Wait(ue, ns3::Simulator::Now());
}

void RandomAccessChannel::Stop(std::uint32_t ue) {
    const auto found = m_procedures.find(ue);
    if (found == m_procedures.end()) {
        return;
    }
    found->second.success.Cancel();
    m_procedures.erase(found);
    for (auto& [at, ues] : m_waiting) {
        std::erase(ues, ue);
    }
}

bool RandomAccessChannel::Goes(const Sender& sender) const {
    const auto found = m_procedures.find(sender.first);
    return found != m_procedures.end() && found->second.number == sender.second;
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
    std::map<unsigned, std::vector<std::uint32_t>> sent; // UEs by preamble
    std::set<unsigned> heard;                            // preambles
    for (const auto ue : sending) {
        Procedure& procedure = m_procedures.at(ue);
        const double lossDb = procedure.lossDb(), receivedDbm = ReceivedDbm(lossDb, ++procedure.attempts);
        if (m_carrier.sent) {
            m_carrier.sent(ue, receivedDbm + lossDb);
        }
        const auto own = m_reserved.find(ue);
        const unsigned preamble =
            own != m_reserved.end() ? own->second : m_random->GetInteger(0, m_settings.preambles - 1);
        const bool isHeard = m_random->GetValue() >= Loss(receivedDbm);
        sent[preamble].push_back(ue);
        if (isHeard) {
            heard.insert(preamble);
        }
        ++m_counts.preambles;
        m_counts.unheard += !isHeard;
        NS_LOG_LOGIC("UE " << ue << ", attempt " << procedure.attempts << ", preamble " << preamble << " at "
                           << receivedDbm << " dBm" << (isHeard ? "" : ": not heard"));
    }
    for (const auto& [preamble, ues] : sent) {
        Contention contention;
        for (const auto ue : ues) { // a UE whose preamble was not heard takes the response for its own
            const Procedure& procedure = m_procedures.at(ue);
            const bool answered = heard.contains(preamble);
            const bool lost = answered && Lost(m_carrier.downLoss(response_bits, DownSnr(procedure)));
            m_counts.responses += answered;
            m_counts.lostResponses += lost;
            if (!answered || lost) {
                NS_LOG_LOGIC("UE " << ue << " has no response");
                Retry(ue, now + m_settings.responseWindow, false);
            } else if (m_reserved.contains(ue)) {
                SucceedAfter(ue, m_carrier.responseDelay);
            } else {
                contention.senders.emplace_back(ue, procedure.number);
            }
        }
        if (!contention.senders.empty()) {
            contention.draw = m_random->GetValue();
            m_contentions[++m_contentionNumber] = std::move(contention);
            GrantThird(m_contentionNumber, now + m_carrier.responseDelay);
        }
    }
}

void RandomAccessChannel::Retry(std::uint32_t ue, ns3::Time from, bool backsOff) {
    Procedure& procedure = m_procedures.at(ue);
    if (procedure.attempts == m_settings.transmissions) {
        NS_LOG_LOGIC("UE " << ue << ": random access problem after " << procedure.attempts << " preambles");
        if (procedure.problem) {
            procedure.problem();
        }
    }
    Wait(ue, from + (backsOff ? ns3::Seconds(m_random->GetValue(0, m_settings.backoff.GetSeconds())) : ns3::Time()));
}

void RandomAccessChannel::GrantThird(std::uint64_t contention, ns3::Time from) {
    const ns3::Time at = m_carrier.uplinkFrom(from + m_carrier.grantDelay);
    m_contentions.at(contention).next =
        ns3::Simulator::Schedule(at - ns3::Simulator::Now(), &RandomAccessChannel::Third, this, contention);
}

void RandomAccessChannel::Third(std::uint64_t number) {
    Contention& contention = m_contentions.at(number);
    std::erase_if(contention.senders, [this](const Sender& each) { return !Goes(each); });
    ++contention.sent;
    const double widthDb = 10 * std::log10(third_subcarriers * m_carrier.subcarrierHz / reference_hz);
    const double noiseDbm = noise_dbm_hz + 10 * std::log10(reference_hz) + m_carrier.noiseFigureDb;
    double most = 0, sum = 0; // over noise
    std::uint32_t strongest = 0;
    for (const auto& [ue, procedure] : contention.senders) {
        const Procedure& sender = m_procedures.at(ue);
        const double lossDb = sender.lossDb(), receivedDbm = ThirdDbm(lossDb, sender.attempts);
        const double snr = std::pow(10, (receivedDbm - noiseDbm) / 10);
        if (m_carrier.sent) {
            m_carrier.sent(ue, receivedDbm + widthDb + lossDb);
        }
        ++m_counts.thirdMessages;
        sum += snr;
        strongest = snr > most ? ue : strongest;
        most = std::max(most, snr);
    }
    if (most >= capture * (sum - most)) {
        contention.energy = (strongest == contention.strongest ? contention.energy : 0) + most / (1 + sum - most);
        contention.strongest = strongest;
    }
    const bool decoded =
        !contention.senders.empty() &&
        contention.draw >= (contention.energy > 0 ? m_carrier.upLoss(third_bits, contention.energy) : 1);
    NS_LOG_LOGIC("message 3 of " << contention.senders.size() << " UEs, transmission " << contention.sent
                                 << (decoded ? ": decoded" : ": not decoded"));
    const ns3::Time now = ns3::Simulator::Now();
    if (decoded) {
        Fourth(contention, contention.strongest);
    } else {
        ++m_counts.undecoded;
        if (!contention.senders.empty() && contention.sent < m_settings.thirdMessages &&
            m_carrier.responseDelay + m_carrier.grantDelay <= m_settings.contention) {
            GrantThird(number, now + m_carrier.responseDelay);
            return;
        }
        m_counts.contentions += contention.senders.size() > 1 ? contention.senders.size() : 0;
        for (const auto& [ue, procedure] : contention.senders) {
            Retry(ue, now + m_settings.contention, true);
        }
    }
    m_contentions.erase(number);
}

void RandomAccessChannel::Fourth(const Contention& contention, std::uint32_t winner) {
    const ns3::Time now = ns3::Simulator::Now(), expiry = now + m_settings.contention;
    for (const auto& [ue, procedure] : contention.senders) {
        const double snr = DownSnr(m_procedures.at(ue));
        if (ue != winner) {
            const bool reads = !Lost(m_carrier.downLoss(fourth_bits, snr));
            ++m_counts.contentions;
            Retry(ue, reads ? now + m_carrier.responseDelay : expiry, true);
            continue;
        }
        const double draw = m_random->GetValue();
        unsigned sent = 1;
        while (sent < m_settings.thirdMessages && draw < m_carrier.downLoss(fourth_bits, sent * snr)) {
            ++sent;
        }
        const ns3::Time arrives = sent * m_carrier.responseDelay;
        const bool lost = draw < m_carrier.downLoss(fourth_bits, sent * snr) || arrives > m_settings.contention;
        ++m_counts.resolutions;
        m_counts.lostResolutions += lost;
        if (lost) {
            Retry(ue, expiry, true);
        } else {
            SucceedAfter(ue, arrives);
        }
    }
}

void RandomAccessChannel::SucceedAfter(std::uint32_t ue, ns3::Time delay) {
    m_procedures.at(ue).success = ns3::Simulator::Schedule(delay, &RandomAccessChannel::Succeed, this, ue);
}

void RandomAccessChannel::Succeed(std::uint32_t ue) {
    const auto node = m_procedures.extract(ue);
    NS_LOG_LOGIC("UE " << ue << " has access after " << node.mapped().attempts << " preambles");
    node.mapped().done(node.mapped().attempts);
}

} // namespace edgelam::nr
