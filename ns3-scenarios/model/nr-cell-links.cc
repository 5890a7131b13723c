// SPDX-License-Identifier: GPL-2.0-only
// A cell's links: channel state reports, link adaptation, power control, and whether a block is decoded.
#include <algorithm>
#include <cmath>

#include "ns3/simulator.h"

#include "nr-cell.h"

namespace edgelam::nr {

namespace {

constexpr double smoothing_s = 0.1; ///< of the throughput that proportional fair looks at

double Watt(double dbm) {
    return std::pow(10, dbm / 10 - 3);
}

double Db(double linear) {
    return 10 * std::log10(std::max(linear, 1e-30));
}

} // namespace

/// A CSI report: rank and a CQI for each group of resource blocks (downlink), and what the gNB measures itself
/// (uplink).
void Cell::Measure(Ue& ue, std::uint64_t slot) {
    if (ue.measured && slot < ue.measuredSlot + m_csiPeriod) {
        return;
    }
    ue.phy.Measure();
    const auto efficiencyOf = [&](const SinrMap& map, std::vector<float>& out, bool quantise) {
        double sum = 0;
        out.resize(m_numGroups);
        for (unsigned g = 0; g < m_numGroups; ++g) {
            double mean = 0; // of all layers and samples of the group
            for (unsigned l = 0; l < map.numLayers; ++l) {
                for (unsigned i = 0; i < m_samplesPerGroup; ++i) {
                    mean += std::log2(1 + map.Layer(l)[g * m_samplesPerGroup + i]);
                }
            }
            mean /= map.numLayers * m_samplesPerGroup;
            const double sinrDb = Db(std::exp2(mean) - 1);
            // The best scheme whose threshold is met, as the UE finds its CQI.
            const auto above = std::upper_bound(m_thresholdDb.begin(), m_thresholdDb.end(), sinrDb);
            const unsigned mcs =
                above == m_thresholdDb.begin() ? 0 : static_cast<unsigned>(above - m_thresholdDb.begin() - 1);
            double efficiency = McsAt(m_mcsTable, mcs).Efficiency();
            if (quantise) {
                const unsigned cqi = std::max(1u, HighestCqi(m_cqiTable, efficiency));
                efficiency = CqiAt(m_cqiTable, cqi).Efficiency();
            }
            out[g] = static_cast<float>(efficiency * map.numLayers);
            sum += out[g];
        }
        return sum;
    };
    Quality best;
    double largest = -1;
    const unsigned most = std::min(ue.phy.MaxLayers(), m_maxLayers);
    for (unsigned layers = 1; layers <= most; ++layers) {
        Quality each{true, layers, {}};
        const double sum = efficiencyOf(ue.phy.Downlink(layers, DownlinkSnr()), each.efficiency, true);
        if (sum > largest) {
            largest = sum;
            best = std::move(each);
        }
    }
    ue.down.pending = std::move(best);
    ue.up.pending = Quality{true, 1, {}};
    // Sounding: as strong as data on a quarter of the band would be.
    efficiencyOf(ue.phy.Uplink(UplinkPowerW(ue, std::max(1u, m_numPrbs / 4)) / m_noiseUpW), ue.up.pending.efficiency,
                 false);
    for (Side* side : {&ue.down, &ue.up}) {
        side->pendingFrom = slot + (ue.measured ? m_csiDelay : 0); // the first report is there when it is needed
    }
    ue.measured = true;
    ue.measuredSlot = slot;
}

double Cell::DownlinkSnr() const {
    return Watt(m_gnbPowerDbm) / m_numPrbs / m_noiseDownW;
}

void Cell::Adopt(Side& side, std::uint64_t slot) const {
    if (side.pending.known && slot >= side.pendingFrom) {
        std::swap(side.quality, side.pending);
        side.pending.known = false;
    }
}

/// What each group would carry.
void Cell::FillRates(Side& side, unsigned symbols) const {
    for (unsigned g = 0; g < m_numGroups; ++g) {
        side.bitsPerGroup[g] = side.quality.efficiency[g] * static_cast<float>(DataElements(PrbsOf(g), symbols));
    }
}

void Cell::Average(Side& side, std::uint64_t slot, double bits) {
    const double slotS = 1e-9 * static_cast<double>(m_numerology->MeanSlotNs());
    const double keep = std::exp(-static_cast<double>(slot - side.averagedSlot) * slotS / smoothing_s);
    side.averageBps = side.averageBps * keep + bits / smoothing_s;
    side.averagedSlot = slot;
}

/// The highest MCS whose threshold the mean quality of these groups meets, corrected by the outer loop.
unsigned Cell::ChooseMcs(const Side& side, const std::vector<std::uint32_t>& groups) const {
    double sum = 0;
    for (const auto g : groups) {
        sum += side.quality.efficiency[g];
    }
    const double efficiency = sum / static_cast<double>(groups.size()) / side.quality.layers;
    const unsigned promised = HighestMcs(m_mcsTable, efficiency + 1e-6);
    const double sinrDb = m_thresholdDb[promised] + side.outerLoopDb;
    unsigned mcs = 0;
    while (mcs + 1 < m_thresholdDb.size() && m_thresholdDb[mcs + 1] <= sinrDb + 1e-6) {
        ++mcs;
    }
    return mcs;
}

/// TS 38.213 7.1.1, open loop; power of one of `prbs` resource blocks, W.
double Cell::UplinkPowerW(Ue& ue, unsigned prbs) const {
    const double lossDb = -Db(ue.phy.LargeScaleGain());
    const double wantedDbm = m_p0Dbm + 10 * std::log10(prbs * std::exp2(m_mu)) + m_alpha * lossDb;
    return Watt(std::min(wantedDbm, m_uePowerDbm)) / prbs;
}

void Cell::Decode(Process& process, const SinrMap& map, const std::vector<std::uint32_t>& groups, unsigned elements,
                  TransportBlockRecord record) {
    m_sinrs.clear();
    for (unsigned l = 0; l < map.numLayers; ++l) {
        for (const auto g : groups) {
            const float* at = map.Layer(l) + g * m_samplesPerGroup;
            m_sinrs.insert(m_sinrs.end(), at, at + m_samplesPerGroup);
        }
    }
    const Mcs& scheme = McsAt(m_mcsTable, process.mcs);
    const double coded = static_cast<double>(elements) * scheme.bitsPerSymbol * process.layers;
    if (process.attempts == 1) {
        process.average = SinrAverage(EesmBeta(m_mcsTable, process.mcs));
        process.codedBits = process.chaseSinr = 0;
        process.luck = m_random->GetValue();
    }
    double sinr = 0;
    if (m_redundancy) { // more coded bits, at their mean quality
        process.average.Add(m_sinrs, coded / static_cast<double>(m_sinrs.size()));
        process.codedBits += coded;
        sinr = process.average.Value();
    } else { // the same bits with more energy
        process.chaseSinr += EffectiveSinr(m_sinrs, EesmBeta(m_mcsTable, process.mcs));
        process.codedBits = coded;
        sinr = process.chaseSinr;
    }
    const double bler =
        m_errors->TransportBlockErrorRate(process.blocks, scheme.bitsPerSymbol, process.codedBits, sinr);
    process.decoded = process.luck >= bler;
    record.received = process.decoded;
    record.sinr_db = static_cast<float>(Db(sinr));
    record.bler = static_cast<float>(bler);
    m_blockTrace(record);
}

} // namespace edgelam::nr
