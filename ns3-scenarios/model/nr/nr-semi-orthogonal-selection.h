// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// User selection by orthogonality.
#pragma once

#include "nr-groupwise-selection.h"

namespace edgelam::nr {

/// A UE is added only where the correlation of its rows with each orthonormalised row of the UEs before it is at most
/// `Correlation`; of those, the one that carries most for itself comes first: semi-orthogonal user selection (Yoo and
/// Goldsmith, IEEE JSAC 2006), which begins with the scheduler's UE, and weighs a UE's rate by its importance.
class SemiOrthogonalSelection : public GroupwiseSelection {
  public:
    static ns3::TypeId GetTypeId();

  protected:
    double Gain(const Addition& addition) const override;

  private:
    double m_correlation = 0.3;
};

} // namespace edgelam::nr
