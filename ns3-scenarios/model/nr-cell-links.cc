// SPDX-License-Identifier: GPL-2.0-only
// A cell's links: channel state reports, link adaptation, power control, and whether a block is decoded.
#include <algorithm>
#include <cmath>

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

/// Quality of each group: what its layers could carry.
void Cell::MeasureGroups(const SinrMap& map, bool asCqi, Quality& out) const {
    out.layers = map.numLayers;
    out.efficiency.resize(m_numGroups);
    out.mean = 0;
    for (unsigned g = 0; g < m_numGroups; ++g) {
        double mean = 0; // of all layers and samples of the group
        for (unsigned l = 0; l < map.numLayers; ++l) {
            float product = 1; // of few factors: a logarithm for each layer
            for (unsigned i = 0; i < m_samplesPerGroup; ++i) {
                product *= 1 + std::min(map.Layer(l)[g * m_samplesPerGroup + i], 1e9f);
            }
            mean += std::log2(product);
        }
        mean /= map.numLayers * m_samplesPerGroup;
        const double sinrDb = Db(std::exp2(mean) - 1);
        // The best scheme whose threshold is met, as the UE finds its CQI.
        const auto above = std::upper_bound(m_thresholdDb.begin(), m_thresholdDb.end(), static_cast<float>(sinrDb));
        const unsigned mcs =
            above == m_thresholdDb.begin() ? 0 : static_cast<unsigned>(above - m_thresholdDb.begin() - 1);
        double efficiency = McsAt(m_mcsTable, mcs).Efficiency();
        if (asCqi) {
            efficiency = CqiAt(m_cqiTable, std::max(1u, HighestCqi(m_cqiTable, efficiency))).Efficiency();
        }
        out.efficiency[g] = static_cast<float>(efficiency * map.numLayers);
        out.mean += efficiency / m_numGroups;
    }
}

/// A CSI report: beams, rank and a CQI for each group of resource blocks (downlink), and what the gNB measures itself
/// (uplink). What was measured is used CsiDelay slots later.
void Cell::Measure(Ue& ue, std::uint64_t slot) {
    const auto adopt = [&] {
        ue.phy.Adopt();
        std::swap(ue.down.quality, ue.down.pending);
        std::swap(ue.up.quality, ue.up.pending);
        ue.pending = false;
    };
    if (ue.pending && slot >= ue.adoptSlot) {
        adopt();
    }
    if (ue.pending || (ue.measured && slot < ue.measuredSlot + m_csiPeriod)) {
        return;
    }
    ue.phy.Measure(true);
    ue.lossDb = -Db(ue.phy.LargeScaleGain());
    const unsigned most = std::min(ue.phy.MaxLayers(), m_maxLayers);
    for (unsigned layers = 1; layers <= most; ++layers) {
        MeasureGroups(ue.phy.Downlink(layers, DownlinkSnr(), Beams::Measured), true, m_tried);
        if (layers == 1 || m_tried.mean * layers > ue.down.pending.mean * ue.down.pending.layers) {
            std::swap(m_tried, ue.down.pending);
        }
    }
    // Sounding: as strong as data on a quarter of the band would be.
    MeasureGroups(ue.phy.Uplink(UplinkPowerW(ue, SoundedPrbs()) / m_noiseUpW, Beams::Measured), false, ue.up.pending);
    // A first report is there when it is needed, and one after a pause has been going on.
    const bool late = ue.measured && slot < ue.measuredSlot + m_csiPeriod + m_csiDelay;
    ue.adoptSlot = slot + (late ? m_csiDelay : 0);
    ue.measured = ue.pending = true;
    ue.measuredSlot = slot;
    if (slot >= ue.adoptSlot) {
        adopt();
    }
}

double Cell::DownlinkSnr() const {
    return Watt(m_gnbPowerDbm) / m_numPrbs / m_noiseDownW;
}

/// What each group would carry, as the outer loop corrects it.
void Cell::FillRates(Side& side, unsigned symbols) const {
    const double corrected = McsAt(m_mcsTable, McsFor(side.quality.mean, side.outerLoopDb)).Efficiency();
    const double factor = corrected / std::max(side.quality.mean, 1e-3) * (12.0 * symbols - m_dmrsPerPrb);
    for (unsigned g = 0; g < m_numGroups; ++g) {
        side.bitsPerGroup[g] = side.quality.efficiency[g] * static_cast<float>(factor * PrbsOf(g));
    }
}

void Cell::Average(Side& side, std::uint64_t slot, double bits) const {
    if (slot > side.averagedSlot) {
        const double slotS = 1e-9 * static_cast<double>(m_numerology->MeanSlotNs());
        side.averageBps *= std::exp(-static_cast<double>(slot - side.averagedSlot) * slotS / smoothing_s);
        side.averagedSlot = slot;
    }
    side.averageBps += bits / smoothing_s;
}

/// The highest MCS whose threshold is met where this efficiency was promised, corrected by offsetDb.
unsigned Cell::McsFor(double efficiency, double offsetDb) const {
    const unsigned promised = HighestMcs(m_mcsTable, efficiency + 1e-6);
    const auto above = std::upper_bound(m_thresholdDb.begin(), m_thresholdDb.end(),
                                        static_cast<float>(m_thresholdDb[promised] + offsetDb + 1e-6));
    return above == m_thresholdDb.begin() ? 0 : static_cast<unsigned>(above - m_thresholdDb.begin() - 1);
}

/// TS 38.213 7.1.1, open loop; power of one of `prbs` resource blocks, W.
double Cell::UplinkPowerW(const Ue& ue, unsigned prbs) const {
    const double wantedDbm = m_p0Dbm + 10 * std::log10(prbs * std::exp2(m_mu)) + m_alpha * ue.lossDb;
    return Watt(std::min(wantedDbm, m_uePowerDbm)) / prbs;
}

void Cell::Decode(Process& process, const SinrMap& map, unsigned symbols, TransportBlockRecord record) {
    m_sinrs.clear();
    for (unsigned l = 0; l < map.numLayers; ++l) {
        for (const auto g : process.groups) {
            const float* at = map.Layer(l) + g * m_samplesPerGroup;
            m_sinrs.insert(m_sinrs.end(), at, at + m_samplesPerGroup);
        }
    }
    const unsigned prbs = PrbsOf(process.groups), bitsPerSymbol = McsAt(m_mcsTable, process.mcs).bitsPerSymbol;
    const double sinr = EffectiveSinr(m_sinrs, m_beta[process.mcs]);
    process.soft.Add(sinr, static_cast<double>(DataElements(prbs, symbols)) * bitsPerSymbol * process.layers,
                     m_redundancy ? RedundancyVersion(process.attempts) : 0);
    ++process.attempts;
    const double bler = process.soft.ErrorRate(*m_errors, process.blocks, bitsPerSymbol);
    process.decoded = process.luck >= bler;
    if (m_blockTrace.IsEmpty()) {
        return;
    }
    record.time_ns = m_numerology->SlotStartNs(static_cast<std::int64_t>(record.slot));
    record.attempt = process.attempts;
    record.mcs = process.mcs;
    record.layers = process.layers;
    record.received = process.decoded;
    record.prbs = static_cast<std::uint16_t>(prbs);
    record.bits = process.bits;
    record.sinr_db = static_cast<float>(Db(sinr));
    record.bler = static_cast<float>(bler);
    m_blockTrace(record);
}

} // namespace edgelam::nr
