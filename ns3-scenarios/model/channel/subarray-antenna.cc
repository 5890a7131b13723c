// SPDX-License-Identifier: GPL-2.0-only
#include "subarray-antenna.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

namespace edgelam {

NS_OBJECT_ENSURE_REGISTERED(SubarrayAntenna);

namespace {

/// |sum over n elements of exp(j 2 pi turns element)| / sqrt(n)
double LineFactor(unsigned n, double turns) {
    const double beside = std::sin(std::numbers::pi * turns), root = std::sqrt(double(n));
    return n == 1                    ? 1
           : std::abs(beside) < 1e-9 ? root
                                     : std::abs(std::sin(std::numbers::pi * n * turns) / beside) / root;
}

} // namespace

ns3::TypeId SubarrayAntenna::GetTypeId() {
    static ns3::TypeId id = ns3::TypeId("edgelam::SubarrayAntenna")
                                .SetParent<ns3::AntennaModel>()
                                .SetGroupName("Edgelam")
                                .AddConstructor<SubarrayAntenna>();
    return id;
}

SubarrayAntenna::SubarrayAntenna(ns3::Ptr<ns3::AntennaModel> element, unsigned rows, unsigned columns,
                                 double verticalSpacing, double horizontalSpacing, double tiltRad, double azimuthRad)
    : m_element(element), m_rows(rows), m_columns(columns), m_verticalSpacing(verticalSpacing),
      m_horizontalSpacing(horizontalSpacing), m_upOfBeam(-std::sin(tiltRad)),
      m_acrossOfBeam(std::cos(tiltRad) * std::sin(azimuthRad)) {
    if (!element || rows == 0 || columns == 0) {
        throw std::invalid_argument("sub-array of " + std::to_string(rows) + " x " + std::to_string(columns) +
                                    " elements" + (element ? "" : " without a pattern") +
                                    "; legal are 1 or more rows and columns of an element");
    }
    if (!std::isfinite(verticalSpacing) || !std::isfinite(horizontalSpacing) || !std::isfinite(tiltRad) ||
        !std::isfinite(azimuthRad)) {
        throw std::invalid_argument("sub-array: its spacings are " + std::to_string(verticalSpacing) + " and " +
                                    std::to_string(horizontalSpacing) + " wavelengths, its beam at " +
                                    std::to_string(tiltRad) + " and " + std::to_string(azimuthRad) +
                                    " rad; legal are finite numbers");
    }
}

double SubarrayAntenna::Factor(double across, double up) const {
    return LineFactor(m_rows, m_verticalSpacing * (up - m_upOfBeam)) *
           LineFactor(m_columns, m_horizontalSpacing * (across - m_acrossOfBeam));
}

double SubarrayAntenna::GetGainDb(ns3::Angles angles) {
    if (!m_element) { // made by name, without elements: one isotropic antenna
        return 0;
    }
    const double sine = std::sin(angles.GetInclination());
    const double factor = Factor(sine * std::sin(angles.GetAzimuth()), std::cos(angles.GetInclination()));
    return m_element->GetGainDb(angles) + 20 * std::log10(std::max(factor, 1e-10));
}

} // namespace edgelam
