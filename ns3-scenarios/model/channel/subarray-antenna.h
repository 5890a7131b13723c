// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A few elements that are fed together: one antenna port.
#pragma once

#include "ns3/antenna-model.h"

namespace edgelam {

/// The pattern of a port that is a vertical column, or a rectangle, of equal elements with fixed weights: that of the
/// element times the array factor (TR 36.873 7.1, TR 37.910). The weights have equal size, their squares add up to 1,
/// and their phases turn the beam towards the ground (electrical tilt) and sideways: at the peak, the gain is that of
/// the element times the number of elements. Angles are those of the array: 0 azimuth and 90 degrees inclination are
/// perpendicular to it.
class SubarrayAntenna : public ns3::AntennaModel {
  public:
    static ns3::TypeId GetTypeId();
    SubarrayAntenna() = default;

    /// \param element pattern of each element
    /// \param spacings in wavelengths
    /// \param tiltRad, azimuthRad direction of the beam: below the perpendicular, and from it towards the columns
    /// Throws std::invalid_argument for no element, no rows or columns, or numbers that are not finite.
    SubarrayAntenna(ns3::Ptr<ns3::AntennaModel> element, unsigned rows, unsigned columns, double verticalSpacing,
                    double horizontalSpacing, double tiltRad, double azimuthRad = 0);

    double GetGainDb(ns3::Angles angles) override;

    const ns3::Ptr<ns3::AntennaModel>& GetElement() const { return m_element; }
    /// Size of the array factor towards a unit vector whose components along the rows and along the columns of the
    /// array these are.
    double Factor(double across, double up) const;

  private:
    ns3::Ptr<ns3::AntennaModel> m_element;
    unsigned m_rows = 1, m_columns = 1;
    double m_verticalSpacing = 0.5, m_horizontalSpacing = 0.5, m_upOfBeam = 0, m_acrossOfBeam = 0;
};

} // namespace edgelam
