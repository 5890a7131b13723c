// SPDX-License-Identifier: GPL-2.0-only
#include "nr-sounding.h"

#include <cmath>
#include <string>

#include "ns3/log.h"
#include "ns3/random-variable-stream.h"

#include "named-random.h"

NS_LOG_COMPONENT_DEFINE("NrSounding");

namespace edgelam {

namespace {

constexpr std::int64_t pilot_noise_stream = std::int64_t{1} << 33; ///< beyond those that cells use
constexpr double elements_per_prb = 12;

} // namespace

NrSounding::NrSounding(const NrCells& cells, const NrPairs& pairs, Pilots pilots)
    : m_cells(cells), m_pilots(pilots),
      m_occasions(cells, pairs, pilots == Pilots::Srs ? Direction::Uplink : Direction::Downlink,
                  [this](const CellUe& pair, std::uint64_t slot) { return Measure(pair, slot); }) {
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

double NrSounding::NoiseOver(const CellUe& pair) const {
    const nr::Carrier& carrier = m_cells.All()[pair.cell]->GetCarrier();
    if (m_pilots == Pilots::CsiRs) {
        return 1 / carrier.DownlinkSnr();
    }
    const double lossDb = -nr::DbOf(m_cells.GetLink(pair.ue)->GetLargeScaleGain());
    return carrier.noiseUpW / (elements_per_prb * carrier.UplinkPowerW(lossDb, carrier.SoundedPrbs()));
}

NrSounding::Measured NrSounding::Measure(const CellUe& pair, std::uint64_t slot) const {
    const auto link = m_cells.GetLink(pair.cell, pair.ue);
    Measured measured{slot, NoiseOver(pair), {}};
    measured.samples.resize(link->NumRx(Direction::Downlink) * link->NumTx(Direction::Downlink) * m_prbsHz.size());
    link->GetFrequencyResponse(Direction::Downlink, m_prbsHz, measured.samples);
    NamedRandom random(Seed(), {pair.cell, pair.ue, slot});
    const double deviation = std::sqrt(measured.noise / 2);
    for (auto& sample : measured.samples) {
        const double re = deviation * random.Normal(), im = deviation * random.Normal();
        sample += Complex(static_cast<float>(re), static_cast<float>(im));
    }
    NS_LOG_LOGIC("slot " << slot << ": cell " << pair.cell << " and UE " << pair.ue << " measured");
    return measured;
}

} // namespace edgelam
