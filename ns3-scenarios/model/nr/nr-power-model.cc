// SPDX-License-Identifier: GPL-2.0-only
#include "nr-power-model.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace edgelam::nr {

namespace {

// TR 38.840 tables 18 and 19; sleeps and their transitions are the same in table 20 (FR2).
constexpr std::array<Sleep, 3> ue_sleep{{{1, 450, 20}, {20, 100, 6}, {45, 0, 0}}};
constexpr double fr1_control = 100, fr1_data = 300, fr1_0dbm = 250, fr1_23dbm = 700;
constexpr double fr2_control = 175, fr2_data = 350, fr2_sends = 350;
constexpr double least_control = 50; ///< of PDCCH alone, however narrow the band
constexpr double half_the_antennas = 0.7, reference_antennas = 4;
constexpr double two_chains_0dbm = 1.4, two_chains_23dbm = 1.2;

/// 0 at 0 dBm and 1 at 23 dBm, linear in mW.
double PartOf23Dbm(double dbm) {
    return std::max(0.0, (std::pow(10, dbm / 10) - 1) / (std::pow(10, 2.3) - 1));
}

/// TR 38.864 tables 5.1-1 (reference) and 5.1-3 (power).
struct Reference {
    double elements, dbm;
    std::array<double, 3> micro, down, up; ///< [category]; [0] is not used
};
constexpr std::array references{
    Reference{64, 55, {0, 55, 5.5}, {0, 280, 32}, {0, 110, 6.5}}, // set 1: FR1, TDD
    Reference{32, 49, {0, 50, 5}, {0, 200, 26}, {0, 90, 5.8}},    // set 2: FR1, FDD
    Reference{2, 33, {0, 38, 3}, {0, 152, 17.6}, {0, 80, 4.2}},   // set 3: FR2
};
/// Tables 5.1-4 and 5.1-5: deep and light sleep by category.
constexpr std::array<std::array<Sleep, 2>, 3> gnb_sleep{{
    {},
    {{{1, 1000, 50}, {25, 90, 6}}},
    {{{1, 17000, 10000}, {2.1, 1088, 640}}},
}};

} // namespace

void PowerSettings::CheckPower() const {
    if (gnbCategory != 1 && gnbCategory != 2) {
        throw std::invalid_argument("NR cell: GnbCategory " + std::to_string(gnbCategory) +
                                    "; legal are 1 and 2 (TR 38.864 5.1)");
    }
    if (gnbSleep != "micro" && gnbSleep != "light" && gnbSleep != "deep") {
        throw std::invalid_argument("NR cell: GnbSleep '" + gnbSleep + "'; legal are micro, light, deep");
    }
}

UePowerModel::UePowerModel(FrequencyRange range, double bandwidthHz, unsigned rxAntennas) : m_fr2(IsMillimetre(range)) {
    if (m_fr2) {
        control = fr2_control;
        data = fr2_data;
        return;
    }
    const double band = 0.4 + 0.6 * (bandwidthHz * 1e-6 - 20) / 80;
    const double scale = band * std::pow(half_the_antennas, std::log2(reference_antennas / rxAntennas));
    control = std::max(fr1_control * scale, least_control);
    data = std::max(fr1_data * scale, control);
}

const Sleep& UePowerModel::Of(SleepState state) {
    return ue_sleep[static_cast<std::size_t>(state)];
}

SleepState UePowerModel::DeepestFor(double ms) {
    for (const SleepState state : {SleepState::Deep, SleepState::Light}) {
        if (ms >= Of(state).leastMs) {
            return state;
        }
    }
    return SleepState::Micro;
}

double UePowerModel::Long(double dbm, unsigned layers) const {
    if (m_fr2) {
        return fr2_sends;
    }
    const double part = PartOf23Dbm(dbm);
    const double chains = layers > 1 ? two_chains_0dbm + (two_chains_23dbm - two_chains_0dbm) * std::min(part, 1.0) : 1;
    return chains * (fr1_0dbm + (fr1_23dbm - fr1_0dbm) * part);
}

GnbPowerModel::GnbPowerModel(const PowerSettings& settings, FrequencyRange range, bool fdd, std::size_t elements,
                             double dbm) {
    const Reference& reference = references[IsMillimetre(range) ? 2 : fdd ? 1 : 0];
    const unsigned category = settings.gnbCategory;
    const double micro = reference.micro[category];
    m_sleep = {gnb_sleep[category][0], gnb_sleep[category][1], {micro, 0, 0}};
    m_down = reference.down[category] - micro;
    m_up = reference.up[category] - micro;
    m_active = static_cast<double>(elements) / reference.elements;
    m_power = std::pow(10, (dbm - reference.dbm) / 10) / m_active;
}

} // namespace edgelam::nr
