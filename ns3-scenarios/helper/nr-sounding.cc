// SPDX-License-Identifier: GPL-2.0-only
#include "nr-sounding.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "ns3/log.h"
#include "ns3/random-variable-stream.h"
#include "ns3/simulator.h"

#include "named-random.h"

NS_LOG_COMPONENT_DEFINE("NrSounding");

namespace edgelam {

namespace {

constexpr std::int64_t pilot_noise_stream = std::int64_t{1} << 33; ///< beyond those that cells use
constexpr double elements_per_prb = 12;

} // namespace

NrSounding::NrSounding(const NrCells& cells, const NrPairs& pairs, Pilots pilots)
    : m_cells(cells), m_pairs(pairs), m_pilots(pilots) {
    const nr::Carrier& carrier = cells.Front().GetCarrier();
    const double prbHz = elements_per_prb * static_cast<double>(carrier.numerology.SubcarrierSpacingHz());
    for (unsigned prb = 0; prb < carrier.numPrbs; ++prb) {
        m_prbsHz.push_back((prb + 0.5 - 0.5 * carrier.numPrbs) * prbHz);
    }
}

std::uint64_t NrSounding::Seed() const {
    if (!m_seed) {
        const auto random = ns3::CreateObject<ns3::UniformRandomVariable>();
        random->SetStream(pilot_noise_stream);
        const std::uint64_t high = random->GetInteger(0, 0xffffffffu - 1);
        m_seed = high << 32 | random->GetInteger(0, 0xffffffffu - 1);
    }
    return *m_seed;
}

std::uint64_t NrSounding::SlotNow() const {
    const auto& numerology = m_cells.Front().GetNumerology();
    return static_cast<std::uint64_t>(numerology.SlotAt(ns3::Simulator::Now().GetNanoSeconds()));
}

std::uint64_t NrSounding::NextOccasion(std::uint64_t after) const {
    const nr::Carrier& carrier = m_cells.Front().GetCarrier();
    const std::uint64_t period = carrier.settings.csiPeriod;
    for (std::uint64_t begin = after / period * period;; begin += period) {
        const auto from = static_cast<std::int64_t>(begin);
        const auto slot = static_cast<std::uint64_t>(m_pilots == Pilots::Srs ? carrier.pattern.NextUplink(from)
                                                                             : carrier.pattern.NextDownlink(from));
        if (slot > after) {
            return slot;
        }
    }
}

void NrSounding::Schedule(std::uint64_t after) {
    const std::int64_t at = m_cells.Front().GetNumerology().SlotStartNs(static_cast<std::int64_t>(NextOccasion(after)));
    ns3::Simulator::Schedule(ns3::NanoSeconds(at) - ns3::Simulator::Now(), [this] { MeasureAll(); });
}

void NrSounding::MeasureAll() {
    const std::uint64_t slot = SlotNow(), delay = m_cells.Front().GetCarrier().settings.csiDelay;
    std::map<CellUe, std::deque<Measured>> kept;
    for (const auto& pair : m_pairs.Now()) {
        auto& measured = kept[pair];
        if (const auto before = m_measured.find(pair); before != m_measured.end()) {
            measured = std::move(before->second);
            while (measured.size() > 1 && measured[1].slot + delay <= slot) {
                measured.pop_front();
            }
            measured.push_back(Measure(pair));
        }
    }
    std::erase_if(kept, [](const auto& each) { return each.second.empty(); }); // nobody has asked for them
    m_measured = std::move(kept);
    NS_LOG_LOGIC("slot " << slot << ": " << m_measured.size() << " pairs measured");
    Schedule(slot);
}

const NrSounding::Measured& NrSounding::Newest(const CellUe& pair) {
    const std::uint64_t slot = SlotNow(), delay = m_cells.Front().GetCarrier().settings.csiDelay;
    if (!m_begun) {
        m_begun = true;
        Schedule(slot);
    }
    auto& measured = m_measured[pair];
    if (measured.empty()) {
        measured.push_back(Measure(pair));
    }
    while (measured.size() > 1 && measured[1].slot + delay <= slot) {
        measured.pop_front();
    }
    return measured.front();
}

double NrSounding::NoiseOver(const CellUe& pair) const {
    const nr::Carrier& carrier = m_cells.All()[pair.cell]->GetCarrier();
    if (m_pilots == Pilots::CsiRs) {
        return 1 / carrier.DownlinkSnr();
    }
    const double lossDb = -nr::DbOf(m_cells.GetLink(pair.ue)->GetLargeScaleGain());
    return carrier.noiseUpW / (elements_per_prb * carrier.UplinkPowerW(lossDb, carrier.SoundedPrbs()));
}

NrSounding::Measured NrSounding::Measure(const CellUe& pair) const {
    const auto link = m_cells.GetLink(pair.cell, pair.ue);
    Measured measured{SlotNow(), NoiseOver(pair), {}};
    measured.samples.resize(link->NumRx(Direction::Downlink) * link->NumTx(Direction::Downlink) * m_prbsHz.size());
    link->GetFrequencyResponse(Direction::Downlink, m_prbsHz, measured.samples);
    NamedRandom random(Seed(), {pair.cell, pair.ue, measured.slot});
    const double deviation = std::sqrt(measured.noise / 2);
    for (auto& sample : measured.samples) {
        const double re = deviation * random.Normal(), im = deviation * random.Normal();
        sample += Complex(static_cast<float>(re), static_cast<float>(im));
    }
    return measured;
}

} // namespace edgelam
