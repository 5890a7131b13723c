// SPDX-License-Identifier: GPL-2.0-only
#include "antenna-options.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <stdexcept>

namespace edgelam {

namespace {

/// The numbers of a list with commas.
std::vector<double> Angles(const std::string& option, const std::string& list, double least, double most) {
    std::vector<double> angles;
    std::istringstream parts(list);
    for (std::string part; std::getline(parts, part, ',');) {
        char* end = nullptr;
        angles.push_back(std::strtod(part.c_str(), &end));
        if (part.empty() || *end != '\0' || !(angles.back() >= least && angles.back() <= most)) {
            std::ostringstream text;
            text << "option --" << option << "=" << list << " is not legal: it takes numbers from " << least << " to "
                 << most << " with commas between them";
            throw std::invalid_argument(text.str());
        }
    }
    return angles;
}

/// An array once for each beam: all azimuths with all zenith angles.
std::vector<ArrayLayout> Steer(const ArrayLayout& plain, const std::vector<double>& azimuths,
                               const std::vector<double>& zeniths) {
    std::vector<ArrayLayout> beams;
    for (const double zenith : zeniths.empty() ? std::vector{90 + plain.electricalTiltDeg} : zeniths) {
        for (const double azimuth : azimuths.empty() ? std::vector{0.0} : azimuths) {
            beams.push_back(plain);
            beams.back().electricalTiltDeg = zenith - 90;
            beams.back().steeringDeg = azimuth;
        }
    }
    return beams;
}

} // namespace

AntennaOptions::AntennaOptions(const ArrayLayout& gnb, std::uint32_t ueAntennas)
    : m_gnb(gnb), m_ueAntennas(ueAntennas) {
    m_array.Set("NumRows", gnb.rows);
    m_array.Set("NumColumns", gnb.columns);
}

void AntennaOptions::AddOptions(Options& options) {
    options.Section("Antennas");
    options.Attribute("gnbRows", m_array, "NumRows",
                      {.help = "rows of the gNB's array, elements of TR 38.901 7.3 (M)", .largest = 64});
    options.Attribute("gnbColumns", m_array, "NumColumns",
                      {.help = "columns of the gNB's array (N); each place has all polarisations", .largest = 64});
    options.Integer("gnbPolarisations", m_gnb.polarisations, "1: vertical; 2: slanted, at right angles (P)", 1, 2);
    options.Integer("gnbPanelRows", m_gnb.panelRows, "rows of panels of that size (Mg)", 1, 16);
    options.Integer("gnbPanelColumns", m_gnb.panelColumns, "columns of panels (Ng)", 1, 16);
    options.Integer("gnbPortRows", m_gnb.portRows,
                    "rows of antenna ports of a panel and polarisation (Mp), a divisor of gnbRows; 0: each row", 0, 64);
    options.Integer("gnbPortColumns", m_gnb.portColumns,
                    "columns of antenna ports (Np), a divisor of gnbColumns; 0: each column", 0, 64);
    options.Real("gnbVerticalSpacing", m_gnb.verticalSpacing, "wavelengths", "from row to row of elements (dV)", 0.1,
                 10);
    options.Real("gnbHorizontalSpacing", m_gnb.horizontalSpacing, "wavelengths",
                 "from column to column of elements (dH)", 0.1, 10);
    options.Real("gnbPanelVerticalSpacing", m_gnb.panelVerticalSpacing, "wavelengths",
                 "from panel to panel (dgV); 0: without a gap", 0, 1000);
    options.Real("gnbPanelHorizontalSpacing", m_gnb.panelHorizontalSpacing, "wavelengths",
                 "from panel to panel (dgH); 0: without a gap", 0, 1000);
    options.Real("gnbSlant", m_gnb.slantDeg, "degrees", "slant of the first of two polarisations", -90, 90);
    options.Choice("gnbElement", m_element,
                   "pattern of each element: 65 degrees and 8 dBi (TR 38.901 table 7.3-1), 90 degrees and 5 dBi for "
                   "ceilings, or the same everywhere",
                   {"sector", "indoor", "isotropic"});
    options.Real("downtilt", m_gnb.tiltDeg, "degrees",
                 "tilt of the gNB's array towards the ground, beyond its mounting", -90, 90);
    options.Real("electricalTilt", m_gnb.electricalTiltDeg, "degrees",
                 "tilt of each port's beam, by the phases of its rows; for ports of several rows", -90, 90);
    options.Integer("ueAntennas", m_ueAntennas, "isotropic antennas of a UE: 1, or 2, 4, ... in pairs of polarisations",
                    1, 16);
    options.Sets(m_array.type(), {{"DowntiltAngle", "downtilt"},
                                  {"IsDualPolarized", "gnbPolarisations"},
                                  {"PolSlantAngle", "gnbSlant"},
                                  {"AntennaVerticalSpacing", "gnbVerticalSpacing"},
                                  {"AntennaHorizontalSpacing", "gnbHorizontalSpacing"},
                                  {"BearingAngle", ""}});
    options.Sets("ns3::PhasedArrayModel", {{"AntennaElement", "gnbElement"}});
}

ArrayLayout AntennaOptions::Gnb(double mountingDeg, double bearingDeg) const {
    ArrayLayout layout = m_gnb;
    layout.rows = static_cast<std::uint32_t>(m_array.Number("NumRows"));
    layout.columns = static_cast<std::uint32_t>(m_array.Number("NumColumns"));
    layout.pattern = m_element == "sector"   ? ElementPattern::Sector
                     : m_element == "indoor" ? ElementPattern::Indoor
                                             : ElementPattern::Isotropic;
    layout.tiltDeg = mountingDeg + m_gnb.tiltDeg;
    layout.bearingDeg = bearingDeg;
    return layout;
}

void AntennaOptions::AddBeamOptions(Options& options) {
    options.Text("gnbBeamAzimuths", m_azimuths,
                 "azimuths of the beams of which a gNB chooses one for each UE, degrees from the perpendicular of its "
                 "array, as 45,-45; empty: 0 alone");
    options.Text("gnbBeamZeniths", m_zeniths,
                 "zenith angles of these beams, 90 along the perpendicular; empty: that of electricalTilt alone");
    options.Integer("uePanels", m_uePanels,
                    "panels of a UE, of elements of 90 degrees and 5 dBi (TR 38.802 table A.2.1-8) with two "
                    "polarisations, evenly around it; the first faces any direction. 0: isotropic antennas",
                    0, 8);
    options.Integer("ueRows", m_ueRows, "rows of elements of such a panel, which are one port", 1, 64);
    options.Integer("ueColumns", m_ueColumns, "columns of elements of it", 1, 64);
    options.Text("ueBeamAzimuths", m_ueAzimuths,
                 "azimuths of the beams of which a UE with panels chooses one for each cell, as for gNBs");
    options.Text("ueBeamZeniths", m_ueZeniths, "zenith angles of these beams; empty: 90 alone");
}

std::vector<ArrayLayout> AntennaOptions::GnbBeams(double mountingDeg, double bearingDeg) const {
    const auto azimuths = Angles("gnbBeamAzimuths", m_azimuths, -90, 90);
    const auto zeniths = Angles("gnbBeamZeniths", m_zeniths, 0, 180);
    return Steer(Gnb(mountingDeg, bearingDeg), azimuths, zeniths);
}

std::vector<ArrayLayout> AntennaOptions::UeBeams(double bearingDeg) const {
    const auto azimuths = Angles("ueBeamAzimuths", m_ueAzimuths, -90, 90);
    const auto zeniths = Angles("ueBeamZeniths", m_ueZeniths, 0, 180);
    std::vector<ArrayLayout> beams;
    for (std::uint32_t panel = 0; panel < m_uePanels; ++panel) {
        const ArrayLayout plain{.rows = m_ueRows,
                                .columns = m_ueColumns,
                                .portRows = 1,
                                .portColumns = 1,
                                .pattern = ElementPattern::Indoor,
                                .bearingDeg = bearingDeg + panel * 360.0 / m_uePanels};
        const auto more = Steer(plain, azimuths, zeniths);
        beams.insert(beams.end(), more.begin(), more.end());
    }
    return beams;
}

ns3::Ptr<ns3::UniformPlanarArray> AntennaOptions::MakeUe(bool panel) const {
    if (m_ueAntennas > 1 && m_ueAntennas % 2 != 0) {
        throw std::invalid_argument("option --ueAntennas=" + std::to_string(m_ueAntennas) +
                                    " is not legal: it takes 1 or an even number");
    }
    return MakePlanarArray(1, std::max(1u, m_ueAntennas / 2), m_ueAntennas > 1,
                           panel ? ElementPattern::Indoor : ElementPattern::Isotropic);
}

} // namespace edgelam
