// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The power that a UE's radio (TR 38.840 8.1) and a gNB (TR 38.864 5.1) take in each state, in the relative units of
/// these reports.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "nr-bands.h"

namespace edgelam::nr {

/// What turns the units into joules, and how a gNB sleeps. The reports have no watt.
struct PowerSettings {
    double uePowerUnitW = 3e-3; ///< so a UE takes 2.1 W while it sends with 23 dBm
    double gnbPowerUnitW = 4;   ///< so 64 transceivers that send 55 dBm take 1.1 kW
    unsigned gnbCategory = 1;   ///< of TR 38.864: 1 or 2
    std::string gnbSleep = "micro";
    /// Throws std::invalid_argument naming the attribute, the value and what is legal.
    void CheckPower() const;
};

/// States between transmissions, deepest first.
enum class SleepState : std::uint8_t { Deep, Light, Micro };

/// A state of sleep: its power, and what entering and leaving it together cost.
struct Sleep {
    double units;      ///< power
    double transition; ///< energy beyond that power, units x ms
    double leastMs;    ///< the least time that it takes, with entering and leaving
};

/// A UE. Powers are means over a slot. FR1 (tables 18 and 19): 100 MHz, 30 kHz, 4 receive antennas, 1 transmit antenna
/// is the reference; other bandwidths and antennas scale it (8.1.3). FR3, which the report does not have, is treated
/// like FR1. FR2 (table 20) is not scaled: the report's table is for 100 MHz, and it gives no factors for others.
class UePowerModel {
  public:
    UePowerModel(FrequencyRange range, double bandwidthHz, unsigned rxAntennas);

    static const Sleep& Of(SleepState state);
    /// The deepest state for which this time is long enough.
    static SleepState DeepestFor(double ms);
    double micro() const { return Of(SleepState::Micro).units; }
    double control; ///< it listens to PDCCH
    double data;    ///< PDCCH and PDSCH
    /// PUSCH or long PUCCH with this power. \param layers several: with two transmit chains
    double Long(double dbm, unsigned layers) const;
    /// The most that a slot takes, with this transmit power.
    double Peak(double dbm) const { return data + std::max(Long(dbm, 1), Long(dbm, 2)) - micro(); }
    /// Short PUCCH or sounding.
    double Short(double dbm) const { return 0.3 * Long(dbm, 1); }

  private:
    bool m_fr2;
};

/// A gNB. The power of a slot is that of micro sleep, and more in symbols in which it sends or receives.
class GnbPowerModel {
  public:
    /// FR2 has the reference of set 3 of table 5.1-1, FDD that of set 2, and TDD in FR1 and FR3 that of set 1.
    /// \param elements of its array: transceivers \param dbm its power over all resource blocks
    GnbPowerModel(const PowerSettings& settings, FrequencyRange range, bool fdd, std::size_t elements, double dbm);

    const Sleep& Of(SleepState state) const { return m_sleep[static_cast<std::size_t>(state)]; }
    double micro() const { return Of(SleepState::Micro).units; }
    /// It sends on this part of the band, 0 to 1.
    double Down(double load) const { return micro() + m_active * m_down * (m_fixed + (1 - m_fixed) * load * m_power); }
    /// It receives.
    double Up() const { return micro() + m_active * m_up; }

  private:
    static constexpr double m_fixed = 0.4; ///< part of the power of active transceivers that does not depend on load
    std::array<Sleep, 3> m_sleep;
    double m_down, m_up; ///< of the reference, beyond micro sleep
    double m_active;     ///< transceivers over those of the reference
    double m_power;      ///< transmit power over that of the reference
};

} // namespace edgelam::nr
