// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What is fixed in a cell once it has its gNB: settings, resource blocks, slots, and the SINR that each MCS needs.
#pragma once

#include <algorithm>
#include <complex>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ns3/nstime.h"

#include "nr-bands.h"
#include "nr-beam-settings.h"
#include "nr-control-channel.h"
#include "nr-drx.h"
#include "nr-error-model.h"
#include "nr-frame.h"
#include "nr-modulation.h"
#include "nr-power-model.h"
#include "nr-radio-link.h"
#include "nr-transport-block.h"

namespace edgelam::nr {

constexpr unsigned least_block_bits = 192; ///< a smaller block would be mostly headers

constexpr unsigned most_ue_delay = 20, most_k = 32; ///< in slots: of UeDelay, and of K1 and K2

/// The attributes of a cell; its TypeId explains what they mean.
struct CellSettings : DrxSettings, PowerSettings, BeamSettings {
    unsigned mu = 1;
    double bandwidthHz = 100e6, gnbPowerDbm = 44, uePowerDbm = 23, gnbNoiseDb = 5, ueNoiseDb = 9;
    double p0Dbm = -90, alpha = 0.8, blerTarget = 0;
    double gapDb = ErrorModel::ldpc;
    std::string pattern = "DDDSU", scheduler = "pf", beams = "eigen", selection = "auto", uplinkSelection = "none",
                csi = "band", slices;
    unsigned mcsTable = 2, maxLayers = 4, maxUplinkLayers = 1, controlSymbols = 1, dmrsPerPrb = 12, dmrsType = 2,
             maxTransmissions = 4, multicastTransmissions = 4;
    double phaseNoiseDb = -200; ///< -200: none
    bool intercarrier = false;
    bool limitElements = false;
    unsigned etypeTwoCombination = 6;
    int multicastMcs = -1, overheadPerPrb = -1;
    bool incrementalRedundancy = true;
    unsigned aggregationLevel = 0, feedbackPrbs = 16, srPrbs = 8, srPeriod = 0; ///< of PDCCH and PUCCH
    unsigned threads = 1;
    unsigned harqProcesses = 0; ///< 0: as many as the frequency range allows
    unsigned gnbDelay = 1, csiPeriod = 20, csiDelay = 4;
    unsigned ueDelay = 0, k1 = 0, k2 = 0; ///< 0: what the numerology allows
    unsigned n310 = 1, n311 = 1, srTransMax = 64;
    ns3::Time t310 = ns3::MilliSeconds(1000), t311 = ns3::MilliSeconds(30000), srProhibit = ns3::MilliSeconds(0);
    bool HasSelfNoise() const { return phaseNoiseDb > -200 || intercarrier; }
    /// The same settings, with the times that a UE needs in place of 0. Throws std::invalid_argument naming the
    /// attribute, the value and what is legal.
    CellSettings Checked() const;
};

/// The plan of one slot of the pattern.
struct SlotPlan {
    unsigned downSymbols = 0, upSymbols = 0; ///< for data
    bool uplink = false;                     ///< whether the slot has uplink symbols
    std::vector<unsigned> grantsFor;         ///< uplink slots decided on here, as numbers of slots ahead
};

struct Carrier {
    /// Throws std::invalid_argument for settings that do not go together: bandwidth and numerology, frequency range,
    /// pattern.
    Carrier(const CellSettings& settings, double frequencyHz);

    const SlotPlan& PlanOf(std::uint64_t slot) const { return plan[slot % plan.size()]; }
    /// These symbols for data, or none if they are too few: DMRS and overhead must leave something.
    unsigned ForData(unsigned symbols) const;
    unsigned PrbsOf(std::uint32_t group) const;
    unsigned PrbsOf(const std::vector<std::uint32_t>& groups) const;
    /// Middle of each group, relative to the carrier.
    std::vector<double> GroupCentresHz() const;
    /// The number of resource elements for data. \param dmrsParts see DmrsParts; 0 if the slot is too short for them
    unsigned DataElements(unsigned prbs, unsigned symbols, unsigned dmrsParts = 1) const;
    /// How many times DmrsPerPrb the DMRS of so many layers on a group takes, with all its code division multiplexing
    /// groups free of data (TS 38.211 table 7.4.1.1.2-5): once up to 4 layers with type 1, and 6 with type 2, and twice
    /// (double-symbol) up to 8 and 12.
    unsigned DmrsParts(unsigned layers) const { return layers <= MostSharedLayers() / 2 ? 1 : 2; }
    /// The most layers on a group, of all UEs together.
    unsigned MostSharedLayers() const { return settings.dmrsType == 1 ? 8 : 12; }
    /// Whether UEs report precoders by sub-band, and how many sub-bands there are.
    bool ReportsBySubband() const { return settings.csi != "band"; }
    unsigned NumSubbands() const { return (numGroups + groupsPerSubband - 1) / groupsPerSubband; }
    /// Whether the gNB receives from several UEs on a group, and so over all of its ports.
    bool ReceivesTogether() const { return settings.uplinkSelection != "none"; }
    /// Resource elements of one resource block that are not for data: DMRS and overhead.
    unsigned ReservedPerPrb() const { return settings.dmrsPerPrb + overheadPerPrb; }
    /// The highest MCS whose threshold this SINR reaches.
    unsigned HighestAt(double sinrDb) const;
    /// Power that the gNB sends in one resource block over the UE's noise in one.
    double DownlinkSnr() const;
    /// The part of a signal's power that becomes noise by phase noise, and in scattering at this speed by interference
    /// between subcarriers, as far as the settings have them.
    double SelfNoise(double speedMps) const;
    /// The power of one of `prbs` resource blocks of a UE, W: open loop of TS 38.213 7.1.1.
    double UplinkPowerW(double lossDb, unsigned prbs) const;
    /// The slot with the HARQ feedback for a downlink block of this slot.
    std::uint64_t UplinkOf(std::uint64_t slot) const;
    /// The number of UEs that can send HARQ feedback in a slot: one in each resource block (PUCCH format 2).
    unsigned NumFeedbacks() const { return std::min(settings.feedbackPrbs, numPrbs); }
    /// The number of scheduling requests that fit into a slot: one in each cyclic shift (PUCCH format 0).
    unsigned NumRequests() const { return 12 * std::min(settings.srPrbs, numPrbs); }
    /// Offsets in this period, in slots, that fall on uplink symbols, in ascending order.
    std::vector<unsigned> RequestOffsets(unsigned period) const;
    /// The slot in which the gNB acts on HARQ feedback for a downlink block of this slot.
    std::uint64_t FeedbackSlot(std::uint64_t slot) const;
    /// The number of resource blocks that sounding covers.
    unsigned SoundedPrbs() const;

    FrequencyRange range;
    double frequencyHz;
    CellSettings settings; ///< with the BLER target of the CQI table if none was given
    Numerology numerology;
    SlotPattern pattern;
    std::vector<SlotPlan> plan;
    unsigned feedbackDelay = 0;   ///< slots from a downlink block to the first that may carry its HARQ feedback
    std::size_t longestGrant = 0; ///< slots from a decision to the latest slot that it is for
    std::size_t longestDelay = 0; ///< slots from a decision to its last consequence
    McsTable mcsTable;
    CqiTable cqiTable;
    unsigned numPrbs, prbsPerGroup, numGroups, samplesPerGroup;
    unsigned groupsPerSubband;     ///< groups with one CQI (TS 38.214 table 5.2.1.4-2); numGroups: no sub-bands
    unsigned overheadPerPrb;       ///< resource elements, xOverhead of TS 38.214 5.1.3.2
    unsigned leastGroups;          ///< groups that least_block_bits take with the lowest MCS
    std::vector<double> offsetsHz; ///< of the SINR samples, several for each group
    double noiseDownW, noiseUpW;   ///< of one resource block
    unsigned harqProcesses;
    unsigned limitedBits; ///< of a downlink circular buffer, see LimitedBufferBits
    ErrorModel errors;
    ControlChannel control;
    RadioLinkTimers linkTimers;
    double leastUplinkDb = 0;       ///< SINR from which all transmissions together decode the smallest block
    double outOfRange = 0;          ///< effective SINR, linear, below which a UE reports CQI 0 (TS 38.214 5.2.2.1)
    std::vector<float> thresholdDb; ///< [MCS] SINR from which this or a higher MCS meets the BLER target
    std::vector<float> efficiency;  ///< [MCS] bit/s/Hz
    std::vector<double> beta;       ///< [MCS] of EESM

    /// The number of slots in a time, rounded up.
    std::uint64_t SlotsOf(ns3::Time time) const;

  private:
    /// Resource elements of a block that DMRS and overhead leave.
    unsigned LeftPerPrb(unsigned symbols) const;
    void SetSlots();
    void SetLeastUplink();
};

/// W
double WattOfDbm(double dbm);
/// A power ratio in dB.
double DbOf(double linear);

} // namespace edgelam::nr
