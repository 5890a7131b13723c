// SPDX-License-Identifier: GPL-2.0-only
#include "nr-access-carrier.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace edgelam::nr {

namespace {

constexpr unsigned qpsk = 2;
constexpr double crc_bits = 16, lowest_efficiency = 2 * 120.0 / 1024; ///< TS 38.214 table 5.1.3.1-1
constexpr double third_elements = 2 * 12 * 12; ///< two resource blocks without two symbols of DMRS

} // namespace

RandomAccessCarrier AccessOf(const Carrier& carrier, std::function<void(std::uint32_t, double)> sent) {
    const auto slots = [&carrier](unsigned count) { return ns3::NanoSeconds(count * carrier.numerology.MeanSlotNs()); };
    const CellSettings& settings = carrier.settings;
    // The gNB decodes, decides and sends; the UE decodes. Message 3 comes K2 slots and some more later, and is answered
    // like a preamble. Blocks have the lowest MCS; grants, 8 elements (CCE).
    const unsigned response = 2 + 2 * settings.gnbDelay + settings.ueDelay;
    const auto blockLoss = [&carrier](double bits, double symbols, double snr) {
        return carrier.errors.CodeBlockErrorRate(qpsk, bits + crc_bits, symbols, snr);
    };
    return {15e3 * std::exp2(settings.mu),
            settings.gnbNoiseDb,
            settings.uePowerDbm,
            settings.gnbPowerDbm - 10 * std::log10(12.0 * carrier.numPrbs),
            settings.ueNoiseDb,
            slots(response),
            slots(settings.k2 + carrier.numerology.MessageThreeSlots()),
            [&carrier](ns3::Time from) {
                std::int64_t slot = carrier.numerology.SlotAt(from.GetNanoSeconds());
                slot += carrier.numerology.SlotStartNs(slot) < from.GetNanoSeconds();
                while (carrier.PlanOf(static_cast<std::uint64_t>(slot)).upSymbols == 0) {
                    ++slot;
                }
                return ns3::NanoSeconds(carrier.numerology.SlotStartNs(slot));
            },
            [&carrier, blockLoss](double bits, double snr) {
                const double grant = carrier.control.Loss(std::min(8u, carrier.control.NumCces()), snr);
                const double block = blockLoss(bits, (bits + crc_bits) / lowest_efficiency, snr);
                return 1 - (1 - grant) * (1 - block);
            },
            [blockLoss](double bits, double snr) { return blockLoss(bits, third_elements, snr); },
            std::move(sent)};
}

} // namespace edgelam::nr
