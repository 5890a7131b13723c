// SPDX-License-Identifier: GPL-2.0-only
#include "nr-carrier.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <sstream>
#include <stdexcept>

#include "ns3/log.h"

#include "nr-harq.h"
#include "nr-phy-link.h"
#include "nr-self-noise.h"

NS_LOG_COMPONENT_DEFINE("NrCarrier");

namespace edgelam::nr {

namespace {

constexpr double thermal_dbm_per_hz = -174;
constexpr double no_phase_noise_db = -200;
constexpr double least_bler_target = 1e-6;
constexpr unsigned short_control = 2;   ///< symbols of uplink that are for sounding and short PUCCH
constexpr unsigned least_elements = 36; ///< of a resource block, for data
constexpr unsigned usual_slots = 2;     ///< of K1 and K2 where the numerology allows that
constexpr double table_3_bler = 1e-5, other_tables_bler = 0.1; ///< TS 38.214 5.2.2.1: what a CQI promises
constexpr unsigned least_subband = 4, least_prbs_of_subbands = 24;

/// xOverhead for one resource block. In FR2 12 symbols of 66 resource blocks and more hold 3 resource elements of PT-RS
/// (every fourth block, every symbol), 1.6 of CSI-RS (32 ports every 20 slots) and, with 64 beams every 20 ms in 264
/// blocks, 1.4 of SSB; up, 3 of PT-RS and about 2 of PUCCH and SRS: 6 both ways, as TS 38.306 4.1.2 reckons. In FR1,
/// control symbols and DMRS alone are what it reckons.
unsigned DefaultOverhead(FrequencyRange range) {
    return IsMillimetre(range) ? 6 : 0;
}

/// TS 38.214 table 5.1.2.2.1-1, configuration 1; twice and four times as many beyond its 275 resource blocks (FR3), so
/// that there are never more than 18 groups.
unsigned GroupSize(unsigned prbs) {
    return prbs <= 36 ? 2 : prbs <= 72 ? 4 : prbs <= 144 ? 8 : prbs <= 275 ? 16 : prbs <= 550 ? 32 : 64;
}

unsigned HarqProcessesOf(const CellSettings& settings, double frequencyHz) {
    const FrequencyRange range = FrequencyRangeOf(frequencyHz);
    const unsigned most = range == FrequencyRange::Fr2_2 || range == FrequencyRange::SubThz ? 32 : 16;
    if (settings.harqProcesses > most) {
        throw std::invalid_argument("NR cell: HarqProcesses " + std::to_string(settings.harqProcesses) + " in " +
                                    NameOf(range) + "; legal are 1 to " + std::to_string(most) +
                                    ", and 0 for the most");
    }
    return settings.harqProcesses == 0 ? most : settings.harqProcesses;
}

} // namespace

double WattOfDbm(double dbm) {
    return std::pow(10, dbm / 10 - 3);
}

double DbOf(double linear) {
    return 10 * std::log10(std::max(linear, 1e-30));
}

CellSettings CellSettings::Checked() const {
    CheckDrx();
    CheckPower();
    CheckBeams();
    if (const int largest = static_cast<int>(NumMcs(McsTableOf(mcsTable))) - 1;
        multicastMcs < -1 || multicastMcs > largest) {
        throw std::invalid_argument("NR cell: MulticastMcs " + std::to_string(multicastMcs) + "; legal are -1 to " +
                                    std::to_string(largest));
    }
    if (blerTarget != 0 && !(blerTarget >= least_bler_target)) {
        std::ostringstream text;
        text << "NR cell: BlerTarget " << blerTarget << "; legal are " << least_bler_target
             << " to 0.5, or 0 for that of the CQI table";
        throw std::invalid_argument(text.str());
    }
    if (overheadPerPrb != -1 && overheadPerPrb % 6 != 0) {
        throw std::invalid_argument("NR cell: Overhead " + std::to_string(overheadPerPrb) +
                                    "; legal are 0, 6, 12, 18, and -1 for that of the frequency range");
    }
    const Numerology numerology(mu);
    constexpr std::array periods{1U, 2U, 4U, 5U, 8U, 10U, 16U, 20U, 40U, 80U, 160U, 320U, 640U, 1280U, 2560U, 5120U};
    const auto beyond = std::upper_bound(periods.begin(), periods.end(), 80 * numerology.SlotsPerSubframe()); // 80 ms
    if (srPeriod != 0 && std::find(periods.begin(), beyond, srPeriod) == beyond) {
        std::string legal;
        for (auto each = periods.begin(); each != beyond; ++each) {
            legal += (each == periods.begin() ? "" : each + 1 == beyond ? " and " : ", ") + std::to_string(*each);
        }
        throw std::invalid_argument("NR cell: SrPeriod " + std::to_string(srPeriod) + " with numerology " +
                                    std::to_string(mu) + "; legal are " + legal +
                                    " slots (TS 38.331), and 0 for the shortest in which all UEs have room");
    }
    // Feedback goes in the last two symbols of its slot; a grant is in the first ones of its own.
    const unsigned decoding = numerology.DecodingSymbols(), preparation = numerology.PreparationSymbols();
    const auto slots = [](unsigned symbols) { return (symbols + symbols_per_slot - 1) / symbols_per_slot; };
    const unsigned leastK1 = 1 + slots(decoding - std::min(decoding, symbols_per_slot - short_control)),
                   leastK2 = slots(preparation + std::max(1u, controlSymbols));
    CellSettings result = *this;
    const auto choose = [&](const char* name, unsigned& value, unsigned least, unsigned byDefault, unsigned most,
                            unsigned symbols, const char* table) {
        if (value != 0 && value < least) {
            throw std::invalid_argument("NR cell: " + std::string(name) + " " + std::to_string(value) +
                                        " with numerology " + std::to_string(mu) + "; legal are " +
                                        std::to_string(least) + " to " + std::to_string(most) + ", as a UE needs " +
                                        std::to_string(symbols) + " symbols (TS 38.214 table " + table +
                                        "), and 0 for the default");
        }
        value = value == 0 ? byDefault : value;
    };
    choose("UeDelay", result.ueDelay, slots(decoding), slots(decoding), most_ue_delay, decoding, "5.3-1");
    choose("K1", result.k1, leastK1, std::max(usual_slots, leastK1), most_k, decoding, "5.3-1");
    choose("K2", result.k2, leastK2, std::max(usual_slots, leastK2), most_k, preparation, "6.4-1");
    if (blerTarget == 0) {
        result.blerTarget = McsTableOf(mcsTable) == McsTable::Qam64LowEfficiency ? table_3_bler : other_tables_bler;
    }
    return result;
}

Carrier::Carrier(const CellSettings& given, double frequencyHz)
    : range(FrequencyRangeOf(frequencyHz)), frequencyHz(frequencyHz), settings(given.Checked()),
      numerology(settings.mu), pattern(SlotPattern::Parse(settings.pattern)), mcsTable(McsTableOf(settings.mcsTable)),
      cqiTable(static_cast<CqiTable>(mcsTable)),
      numPrbs(NumResourceBlocks(FrequencyRangeOf(frequencyHz), settings.mu, settings.bandwidthHz)),
      prbsPerGroup(GroupSize(numPrbs)), numGroups((numPrbs + prbsPerGroup - 1) / prbsPerGroup),
      samplesPerGroup(std::max(1u, prbsPerGroup / 4)),
      groupsPerSubband(numPrbs < least_prbs_of_subbands ? numGroups : std::max(1u, least_subband / prbsPerGroup)),
      overheadPerPrb(settings.overheadPerPrb < 0 ? DefaultOverhead(FrequencyRangeOf(frequencyHz))
                                                 : static_cast<unsigned>(settings.overheadPerPrb)),
      harqProcesses(HarqProcessesOf(settings, frequencyHz)),
      limitedBits(LimitedBufferBits(mcsTable, numPrbs, settings.maxLayers)), errors(settings.gapDb),
      control(errors, numPrbs, settings.controlSymbols, settings.aggregationLevel),
      linkTimers{settings.n310, settings.n311, SlotsOf(settings.t310), SlotsOf(settings.t311)} {
    feedbackDelay = given.ueDelay == 0 ? settings.k1 : std::max(settings.k1, 1 + settings.ueDelay);
    pattern.CheckPeriod(numerology);
    SetSlots();
    const double prbHz = 12.0 * static_cast<double>(numerology.SubcarrierSpacingHz());
    for (unsigned g = 0; g < numGroups; ++g) {
        for (unsigned i = 0; i < samplesPerGroup; ++i) {
            const double prb = g * prbsPerGroup + (i + 0.5) * PrbsOf(g) / samplesPerGroup;
            offsetsHz.push_back((prb - 0.5 * numPrbs) * prbHz);
        }
    }
    noiseDownW = WattOfDbm(thermal_dbm_per_hz + settings.ueNoiseDb) * prbHz;
    noiseUpW = WattOfDbm(thermal_dbm_per_hz + settings.gnbNoiseDb) * prbHz;
    const unsigned elements = NumResourceElements(std::min(50u, numPrbs), 12, 12);
    const auto sinrFor = [&](const Mcs& scheme) {
        const auto blocks = Segment(TransportBlockSize(elements, scheme, 1), scheme);
        return errors.SinrFor(settings.blerTarget, blocks, scheme.bitsPerSymbol,
                              double(elements) * scheme.bitsPerSymbol);
    };
    outOfRange = sinrFor(CqiAt(cqiTable, 1));
    for (unsigned mcs = 0; mcs < NumMcs(mcsTable); ++mcs) {
        const Mcs& scheme = McsAt(mcsTable, mcs);
        thresholdDb.push_back(static_cast<float>(DbOf(sinrFor(scheme))));
        efficiency.push_back(static_cast<float>(scheme.Efficiency()));
        beta.push_back(EesmBeta(mcsTable, mcs));
    }
    const double bitsPerPrb = efficiency[0] * DataElements(1, symbols_per_slot);
    const auto leastPrbs = static_cast<unsigned>(std::ceil(least_block_bits / bitsPerPrb));
    leastGroups = std::min(numGroups, (leastPrbs + prbsPerGroup - 1) / prbsPerGroup);
    SetLeastUplink();
    for (std::size_t mcs = thresholdDb.size() - 1; mcs-- > 0;) { // where a constellation begins, more may need less
        thresholdDb[mcs] = std::min(thresholdDb[mcs], thresholdDb[mcs + 1]);
    }
    NS_LOG_INFO(numPrbs << " resource blocks in " << numGroups << " groups, pattern " << settings.pattern);
}

/// By halving, in dB.
void Carrier::SetLeastUplink() {
    const Mcs& lowest = McsAt(mcsTable, 0);
    const unsigned elements = DataElements(std::min(leastGroups * prbsPerGroup, numPrbs), symbols_per_slot);
    const auto blocks = Segment(TransportBlockSize(elements, lowest, 1), lowest);
    double low = -40, high = 40;
    while (high - low > 1e-3) {
        const double middle = (low + high) / 2;
        SoftBuffer soft;
        for (unsigned i = 0; i < settings.maxTransmissions; ++i) {
            soft.Add(std::pow(10, middle / 10), double(elements) * lowest.bitsPerSymbol,
                     settings.incrementalRedundancy ? RedundancyVersion(i) : 0);
        }
        (soft.ErrorRate(errors, blocks, lowest.bitsPerSymbol) > settings.blerTarget ? low : high) = middle;
    }
    leastUplinkDb = high;
}

/// Which slots carry data, and when uplink slots are granted.
void Carrier::SetSlots() {
    const std::size_t count = pattern.NumSlots();
    plan.assign(count, {});
    unsigned mostDown = 0, mostUp = 0;
    const auto left = [&](unsigned symbols) { return LeftPerPrb(symbols); };
    for (std::size_t i = 0; i < count; ++i) {
        const auto& slot = pattern.At(static_cast<std::int64_t>(i));
        const unsigned down = slot.downlink.count - std::min(slot.downlink.count, settings.controlSymbols);
        const unsigned up = slot.uplink.count > short_control ? slot.uplink.count : 0;
        plan[i].downSymbols = ForData(down);
        plan[i].upSymbols = ForData(up);
        plan[i].uplink = slot.uplink.count > 0;
        mostDown = std::max(mostDown, down);
        mostUp = std::max(mostUp, up);
    }
    const auto refuse = [&](const char* direction, unsigned symbols, const std::string& taken) {
        throw std::invalid_argument("NR cell: Pattern '" + settings.pattern + "' has no slot for " + direction +
                                    " data: at most " + std::to_string(symbols) + " symbols are left of " + taken +
                                    ", and with DmrsPerPrb " + std::to_string(settings.dmrsPerPrb) + " and Overhead " +
                                    std::to_string(overheadPerPrb) + " " + std::to_string(left(symbols)) +
                                    " resource elements in each block; legal is " + std::to_string(least_elements) +
                                    " or more");
    };
    if (std::none_of(plan.begin(), plan.end(), [](const SlotPlan& slot) { return slot.downSymbols > 0; })) {
        refuse("downlink", mostDown, "ControlSymbols " + std::to_string(settings.controlSymbols));
    }
    if (std::none_of(plan.begin(), plan.end(), [](const SlotPlan& slot) { return slot.upSymbols > 0; })) {
        refuse("uplink", mostUp, "slots with more than " + std::to_string(short_control) + " of uplink");
    }
    std::size_t longest = 0;
    for (std::size_t up = 0; up < count; ++up) {
        if (plan[up].upSymbols == 0) {
            continue;
        }
        // There is a slot with downlink data, so also one that a grant fits into.
        std::size_t back = settings.k2;
        const auto at = [&](std::size_t ahead) { return (up + 1000 * count - ahead) % count; };
        while (pattern.At(static_cast<std::int64_t>(at(back))).downlink.count < std::max(1u, settings.controlSymbols)) {
            ++back;
        }
        back += settings.gnbDelay;
        plan[at(back)].grantsFor.push_back(static_cast<unsigned>(back));
        longest = std::max(longest, back);
    }
    for (auto& slot : plan) {
        std::sort(slot.grantsFor.begin(), slot.grantsFor.end());
    }
    const std::size_t feedback = settings.gnbDelay + feedbackDelay + count + 1 + settings.gnbDelay;
    longestGrant = std::max<std::size_t>(longest, settings.gnbDelay);
    longestDelay = std::max(longest, feedback);
}

unsigned Carrier::LeftPerPrb(unsigned symbols) const {
    return 12 * symbols - std::min(12 * symbols, ReservedPerPrb());
}

unsigned Carrier::ForData(unsigned symbols) const {
    return LeftPerPrb(symbols) >= least_elements ? symbols : 0;
}

unsigned Carrier::PrbsOf(std::uint32_t group) const {
    return std::min(prbsPerGroup, numPrbs - group * prbsPerGroup);
}

unsigned Carrier::PrbsOf(const std::vector<std::uint32_t>& groups) const {
    unsigned prbs = 0;
    for (const auto g : groups) {
        prbs += PrbsOf(g);
    }
    return prbs;
}

std::vector<double> Carrier::GroupCentresHz() const {
    const double prbHz = 12.0 * static_cast<double>(numerology.SubcarrierSpacingHz());
    std::vector<double> centres;
    for (unsigned g = 0; g < numGroups; ++g) {
        centres.push_back((g * prbsPerGroup + 0.5 * PrbsOf(g) - 0.5 * numPrbs) * prbHz);
    }
    return centres;
}

unsigned Carrier::DataElements(unsigned prbs, unsigned symbols, unsigned dmrsParts) const {
    const unsigned dmrs = dmrsParts * settings.dmrsPerPrb;
    return dmrsParts > 1 && dmrs + overheadPerPrb >= 12 * symbols
               ? 0
               : NumResourceElements(prbs, symbols, dmrs, overheadPerPrb);
}

unsigned Carrier::HighestAt(double sinrDb) const {
    const auto least = static_cast<float>(sinrDb + 1e-4);
    unsigned reached = 0; // all are looked at: that is faster than to search, which nobody can foresee
    for (const float each : thresholdDb) {
        reached += each <= least ? 1 : 0;
    }
    return std::max(reached, 1U) - 1;
}

double Carrier::DownlinkSnr() const {
    return WattOfDbm(settings.gnbPowerDbm) / numPrbs / noiseDownW;
}

double Carrier::UplinkPowerW(double lossDb, unsigned prbs) const {
    const double wantedDbm = settings.p0Dbm + 10 * std::log10(prbs * std::exp2(settings.mu)) + settings.alpha * lossDb;
    return WattOfDbm(std::min(wantedDbm, settings.uePowerDbm)) / prbs;
}

double Carrier::SelfNoise(double speedMps) const {
    const double phase = settings.phaseNoiseDb > no_phase_noise_db ? std::pow(10, settings.phaseNoiseDb / 10) : 0;
    if (!settings.intercarrier) {
        return phase;
    }
    const double dopplerHz = speedMps * frequencyHz / speed_of_light;
    return 1 - (1 - phase) * (1 - IntercarrierShare(dopplerHz / static_cast<double>(numerology.SubcarrierSpacingHz())));
}

std::uint64_t Carrier::UplinkOf(std::uint64_t slot) const {
    return static_cast<std::uint64_t>(pattern.NextUplink(static_cast<std::int64_t>(slot + feedbackDelay)));
}

std::uint64_t Carrier::FeedbackSlot(std::uint64_t slot) const {
    return UplinkOf(slot) + 1 + settings.gnbDelay;
}

std::vector<unsigned> Carrier::RequestOffsets(unsigned period) const {
    const auto step = std::gcd(static_cast<std::size_t>(period), plan.size());
    std::vector<unsigned> offsets;
    for (unsigned offset = 0; offset < period; ++offset) {
        for (std::size_t slot = offset % step; slot < plan.size(); slot += step) {
            if (plan[slot].uplink) {
                offsets.push_back(offset);
                break;
            }
        }
    }
    return offsets;
}

std::uint64_t Carrier::SlotsOf(ns3::Time time) const {
    const std::int64_t slotNs = numerology.MeanSlotNs();
    return static_cast<std::uint64_t>((time.GetNanoSeconds() + slotNs - 1) / slotNs);
}

unsigned Carrier::SoundedPrbs() const {
    return std::max(1u, numPrbs / 4);
}

} // namespace edgelam::nr
