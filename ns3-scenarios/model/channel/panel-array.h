// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// An array of panels: uniform within each panel, with other distances from panel to panel.
#pragma once

#include <cstdint>

#include "ns3/uniform-planar-array.h"

namespace edgelam {

/// Mg x Ng panels of TR 38.901 7.3. Rows and columns are those of the whole array, numbered through all panels.
class PanelArray : public ns3::UniformPlanarArray {
  public:
    static ns3::TypeId GetTypeId();

    /// \param rows, columns of a panel
    /// \param vertical, horizontal distances of neighbouring panels' centres (dgV, dgH), in wavelengths
    /// Throws std::invalid_argument for rows or columns that are 0, or distances that are negative or not finite.
    void SetPanels(std::uint32_t rows, std::uint32_t columns, double vertical, double horizontal);

    std::uint32_t GetPanelRows() const { return m_rows; }
    std::uint32_t GetPanelColumns() const { return m_columns; }

    ns3::Vector GetElementLocation(std::uint64_t index) const override;

  private:
    std::uint32_t m_rows = 1, m_columns = 1;
    double m_vertical = 0.5, m_horizontal = 0.5;
};

} // namespace edgelam
