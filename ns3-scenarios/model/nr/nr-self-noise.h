// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a signal disturbs itself with: phase noise, and interference between subcarriers in a fast channel.
#pragma once

namespace edgelam::nr {

/// The part of the power of an OFDM signal that Doppler spread moves to other subcarriers, in isotropic scattering
/// (Jakes): 1 - 2 int_0^1 (1 - x) J0(2 pi a x) dx, where a is the largest Doppler shift times the symbol without its
/// prefix, or over the subcarrier spacing; (pi a)^2 / 6 for small a (Russell and Stueber, VTC 1995).
double IntercarrierShare(double dopplerOverSpacing);

/// A SINR beside this part of the signal's own power as noise: at most (1 - share) / share.
template<class T>
T WithSelfNoise(T sinr, T share) {
    return (1 - share) * sinr / (1 + share * sinr);
}

} // namespace edgelam::nr
