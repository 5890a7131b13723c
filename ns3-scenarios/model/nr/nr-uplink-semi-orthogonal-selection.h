// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Selection of UEs that send together, by orthogonality.
#pragma once

#include "nr-uplink-greedy-selection.h"

namespace edgelam::nr {

/// A UE is added only to groups where the correlation of its layers, as the gNB's ports hear them, with each
/// orthonormalised layer of the UEs before it is at most `Correlation`; of those, the UE and the run of groups come
/// first that carry most for the UE itself (SemiOrthogonalSelection). All else is as in UplinkGreedySelection.
class UplinkSemiOrthogonalSelection : public UplinkGreedySelection {
  public:
    static ns3::TypeId GetTypeId();

  protected:
    bool MayJoin(std::uint32_t group, std::uint32_t candidate) const override;
    double Gain(double own, double) const override { return own; }

  private:
    double m_correlation = 0.3;
};

} // namespace edgelam::nr
