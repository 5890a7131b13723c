// SPDX-License-Identifier: GPL-2.0-only
#include "planar-array.h"

#include <cmath>
#include <numbers>
#include <stdexcept>
#include <string>

#include "ns3/boolean.h"
#include "ns3/double.h"
#include "ns3/isotropic-antenna-model.h"
#include "ns3/pointer.h"
#include "ns3/three-gpp-antenna-model.h"
#include "ns3/uinteger.h"

#include "panel-array.h"
#include "subarray-antenna.h"

using namespace ns3;

namespace edgelam {

namespace {

constexpr std::uint32_t most_ports = 1024;

double Radians(double degrees) {
    return degrees * std::numbers::pi / 180;
}

Ptr<AntennaModel> MakeElement(ElementPattern pattern) {
    if (pattern == ElementPattern::Isotropic) {
        return CreateObject<IsotropicAntennaModel>();
    }
    auto element = CreateObject<ThreeGppAntennaModel>();
    if (pattern == ElementPattern::Indoor) {
        element->SetRadiationPattern(ThreeGppAntennaModel::RadiationPattern::INDOOR);
    }
    return element;
}

void CheckDivides(const char* what, std::uint32_t ports, const char* of, std::uint32_t elements) {
    if (ports == 0 || elements == 0 || elements % ports != 0) {
        throw std::invalid_argument("antenna array: " + std::to_string(ports) + " " + what + " of ports for " +
                                    std::to_string(elements) + " " + of + " of elements; legal are divisors of " +
                                    std::to_string(elements));
    }
}

} // namespace

Ptr<UniformPlanarArray> MakePlanarArray(std::uint32_t rows, std::uint32_t columns, bool dualPolarised,
                                        ElementPattern pattern, double tiltRad) {
    auto array = CreateObject<UniformPlanarArray>();
    array->SetAttribute("NumRows", UintegerValue(rows));
    array->SetAttribute("NumColumns", UintegerValue(columns));
    array->SetAttribute("DowntiltAngle", DoubleValue(tiltRad));
    // In this order: ns-3 takes the slant of the second polarisation from what it knows when it hears of it.
    array->SetAttribute("PolSlantAngle", DoubleValue(dualPolarised ? std::numbers::pi / 4 : 0));
    array->SetAttribute("IsDualPolarized", BooleanValue(dualPolarised));
    array->SetAttribute("AntennaElement", PointerValue(MakeElement(pattern)));
    return array;
}

Ptr<UniformPlanarArray> MakeArray(const ArrayLayout& layout) {
    CheckDivides("rows", layout.PortRows(), "rows", layout.rows);
    CheckDivides("columns", layout.PortColumns(), "columns", layout.columns);
    if (layout.polarisations < 1 || layout.polarisations > 2 || layout.panelRows == 0 || layout.panelColumns == 0 ||
        layout.NumPorts() > most_ports) {
        throw std::invalid_argument("antenna array: " + std::to_string(layout.NumPorts()) + " ports in " +
                                    std::to_string(layout.panelRows) + " x " + std::to_string(layout.panelColumns) +
                                    " panels and " + std::to_string(layout.polarisations) +
                                    " polarisations; legal are 1 to 1024 ports, 1 panel or more, 1 or 2 polarisations");
    }
    const std::uint32_t rows = layout.rows / layout.PortRows(), columns = layout.columns / layout.PortColumns();
    if (layout.electricalTiltDeg != 0 && rows == 1) {
        throw std::invalid_argument("antenna array: an electrical tilt of " + std::to_string(layout.electricalTiltDeg) +
                                    " degrees where each port has one row of elements; legal is 0, or fewer rows of "
                                    "ports than of elements");
    }
    if (layout.steeringDeg != 0 && columns == 1) {
        throw std::invalid_argument("antenna array: a beam at an azimuth of " + std::to_string(layout.steeringDeg) +
                                    " degrees where each port has one column of elements; legal is 0, or fewer columns "
                                    "of ports than of elements");
    }
    const double vertical = rows * layout.verticalSpacing, horizontal = columns * layout.horizontalSpacing;
    const bool panels = layout.panelRows * layout.panelColumns > 1;
    Ptr<UniformPlanarArray> array = CreateObject<UniformPlanarArray>();
    if (panels) {
        auto made = CreateObject<PanelArray>();
        const auto apart = [](double given, std::uint32_t places, double spacing) {
            return given > 0 ? given : places * spacing;
        };
        made->SetPanels(layout.PortRows(), layout.PortColumns(),
                        apart(layout.panelVerticalSpacing, layout.PortRows(), vertical),
                        apart(layout.panelHorizontalSpacing, layout.PortColumns(), horizontal));
        array = made;
    }
    array->SetAttribute("NumRows", UintegerValue(layout.panelRows * layout.PortRows()));
    array->SetAttribute("NumColumns", UintegerValue(layout.panelColumns * layout.PortColumns()));
    array->SetAttribute("AntennaVerticalSpacing", DoubleValue(vertical));
    array->SetAttribute("AntennaHorizontalSpacing", DoubleValue(horizontal));
    array->SetAttribute("BearingAngle", DoubleValue(Radians(std::remainder(layout.bearingDeg, 360))));
    array->SetAttribute("DowntiltAngle", DoubleValue(Radians(layout.tiltDeg)));
    const bool dual = layout.polarisations == 2;
    // In this order: ns-3 takes the slant of the second polarisation from what it knows when it hears of it.
    array->SetAttribute("PolSlantAngle", DoubleValue(dual ? Radians(layout.slantDeg) : 0));
    array->SetAttribute("IsDualPolarized", BooleanValue(dual));
    Ptr<AntennaModel> element = MakeElement(layout.pattern);
    if (rows * columns > 1) {
        element =
            CreateObject<SubarrayAntenna>(element, rows, columns, layout.verticalSpacing, layout.horizontalSpacing,
                                          Radians(layout.electricalTiltDeg), Radians(layout.steeringDeg));
    }
    array->SetAttribute("AntennaElement", PointerValue(element));
    return array;
}

} // namespace edgelam
