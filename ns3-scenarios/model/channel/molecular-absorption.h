// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Absorption of radio waves by the gases of air.
#pragma once

namespace edgelam {

/// Specific attenuation in dB/km by oxygen and water vapour: ITU-R P.676-12, annex 1 (line by line).
/// \param frequencyHz 1e9 to 1000e9 Hz
/// \param pressureHpa of dry air, hPa, > 0
/// \param vapourDensity water vapour, g/m3, >= 0
/// \param temperatureK > 0
/// Throws std::invalid_argument, with the value and the legal range.
double SpecificAttenuationDbPerKm(double frequencyHz, double pressureHpa = 1013.25, double vapourDensity = 7.5,
                                  double temperatureK = 288.15);

} // namespace edgelam
