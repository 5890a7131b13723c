// SPDX-License-Identifier: GPL-2.0-only
#include "panel-array.h"

#include <cmath>
#include <stdexcept>
#include <string>

namespace edgelam {

NS_OBJECT_ENSURE_REGISTERED(PanelArray);

ns3::TypeId PanelArray::GetTypeId() {
    static ns3::TypeId id = ns3::TypeId("edgelam::PanelArray")
                                .SetParent<ns3::UniformPlanarArray>()
                                .SetGroupName("Edgelam")
                                .AddConstructor<PanelArray>();
    return id;
}

void PanelArray::SetPanels(std::uint32_t rows, std::uint32_t columns, double vertical, double horizontal) {
    if (rows == 0 || columns == 0 || !(vertical >= 0 && std::isfinite(vertical)) ||
        !(horizontal >= 0 && std::isfinite(horizontal))) {
        throw std::invalid_argument("panels of " + std::to_string(rows) + " x " + std::to_string(columns) +
                                    " places, " + std::to_string(vertical) + " and " + std::to_string(horizontal) +
                                    " wavelengths apart; legal are 1 x 1 places or more, and distances of 0 or more");
    }
    m_rows = rows;
    m_columns = columns;
    m_vertical = vertical;
    m_horizontal = horizontal;
}

ns3::Vector PanelArray::GetElementLocation(std::uint64_t index) const {
    const std::uint64_t place = index % (std::uint64_t{GetNumRows()} * GetNumColumns());
    const std::uint64_t row = place / GetNumColumns(), column = place % GetNumColumns();
    const double across = static_cast<double>(column / m_columns) * m_horizontal +
                          static_cast<double>(column % m_columns) * GetAntennaHorizontalSpacing();
    const double up = static_cast<double>(row / m_rows) * m_vertical +
                      static_cast<double>(row % m_rows) * GetAntennaVerticalSpacing();
    // TR 38.901 eq. 7.1-4 of (0, across, up).
    const double cosAlpha = std::cos(GetAlpha()), sinAlpha = std::sin(GetAlpha()), sinBeta = std::sin(GetBeta());
    return {-sinAlpha * across + cosAlpha * sinBeta * up, cosAlpha * across + sinAlpha * sinBeta * up,
            std::cos(GetBeta()) * up};
}

} // namespace edgelam
