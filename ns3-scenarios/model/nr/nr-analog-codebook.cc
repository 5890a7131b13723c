// SPDX-License-Identifier: GPL-2.0-only
#include "nr-analog-codebook.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "ns3/log.h"
#include "ns3/uniform-planar-array.h"

#include "panel-array.h"

NS_LOG_COMPONENT_DEFINE("NrAnalogCodebook");

namespace edgelam::nr {

namespace {

/// Of beam i of `count`, evenly from -1/2 to 1/2.
double Middle(unsigned i, unsigned count) {
    return (i + 0.5) / count - 0.5;
}

} // namespace

AnalogCodebook::Layout AnalogCodebook::LayoutOf(const ns3::PhasedArrayModel& array) {
    const auto* planar = dynamic_cast<const ns3::UniformPlanarArray*>(&array);
    if (planar == nullptr) {
        throw std::invalid_argument("analog beams of an array of class " + array.GetInstanceTypeId().GetName() +
                                    "; legal are ns3::UniformPlanarArray and edgelam::PanelArray");
    }
    Layout layout{planar->GetNumRows(), planar->GetNumColumns(), planar->GetNumRows(), planar->GetNumColumns(),
                  array.GetNumPols()};
    if (const auto* panels = dynamic_cast<const PanelArray*>(&array)) {
        layout.rows = panels->GetPanelRows();
        layout.columns = panels->GetPanelColumns();
    }
    return layout;
}

AnalogCodebook::AnalogCodebook(const ns3::PhasedArrayModel& array, unsigned rows, unsigned columns,
                               unsigned oversampling)
    : m_layout(LayoutOf(array)), m_sweep{rows, columns} {
    if (rows < 1 || columns < 1 || rows > m_layout.rows || columns > m_layout.columns) {
        throw std::invalid_argument("a sweep of " + std::to_string(rows) + " x " + std::to_string(columns) +
                                    " analog beams with panels of " + std::to_string(m_layout.rows) + " x " +
                                    std::to_string(m_layout.columns) +
                                    " elements; legal is 1 beam or more along each side, and at most one for each "
                                    "element");
    }
    const auto side = [oversampling](unsigned elements, unsigned beams) {
        return elements == 1 ? 1 : (oversampling * elements + beams - 1) / beams;
    };
    m_narrow = {side(m_layout.rows, rows), side(m_layout.columns, columns)};
    NS_LOG_INFO(NumSweep() << " beams in a sweep, " << NumNarrow() << " narrow ones around each, " << NumPorts()
                           << " ports");
}

AnalogCodebook::Frequencies AnalogCodebook::At(std::uint32_t beam) const {
    const std::uint32_t sweep = SweepOf(beam);
    Frequencies at{Middle(sweep / m_sweep.columns, m_sweep.rows), Middle(sweep % m_sweep.columns, m_sweep.columns)};
    if (IsNarrow(beam)) {
        const std::uint32_t narrow = (beam - NumSweep()) % NumNarrow();
        at.row += Middle(narrow / m_narrow.columns, m_narrow.rows) / m_sweep.rows;
        at.column += Middle(narrow % m_narrow.columns, m_narrow.columns) / m_sweep.columns;
    }
    return at;
}

const PortWeights& AnalogCodebook::Weights(std::uint32_t beam) {
    if (const auto known = m_weights.find(beam); known != m_weights.end()) {
        return known->second;
    }
    const auto [rowTurns, columnTurns] = At(beam);
    const unsigned rows = IsNarrow(beam) ? m_layout.rows : m_sweep.rows,
                   columns = IsNarrow(beam) ? m_layout.columns : m_sweep.columns;
    const unsigned firstRow = (m_layout.rows - rows) / 2, firstColumn = (m_layout.columns - columns) / 2;
    const unsigned places = m_layout.arrayRows * m_layout.arrayColumns, ports = NumPorts();
    const unsigned panelColumns = m_layout.arrayColumns / m_layout.columns;
    const double amplitude = 1 / std::sqrt(double(rows) * columns);
    std::vector<std::complex<float>> values(std::size_t{places} * m_layout.polarisations * ports);
    for (unsigned place = 0; place < places; ++place) {
        const unsigned arrayRow = place / m_layout.arrayColumns, arrayColumn = place % m_layout.arrayColumns;
        const unsigned row = arrayRow % m_layout.rows, column = arrayColumn % m_layout.columns;
        if (row < firstRow || row >= firstRow + rows || column < firstColumn || column >= firstColumn + columns) {
            continue;
        }
        const unsigned panel = arrayRow / m_layout.rows * panelColumns + arrayColumn / m_layout.columns;
        const double turns = rowTurns * row + columnTurns * column;
        const auto weight = std::complex<float>(std::polar(amplitude, -2 * std::numbers::pi * turns));
        for (unsigned p = 0; p < m_layout.polarisations; ++p) {
            const std::size_t element = std::size_t{p} * places + place;
            values[element * ports + panel * m_layout.polarisations + p] = weight;
        }
    }
    return m_weights.emplace(beam, PortWeights(ports, std::move(values))).first->second;
}

} // namespace edgelam::nr
