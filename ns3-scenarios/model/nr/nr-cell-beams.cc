// SPDX-License-Identifier: GPL-2.0-only
// The attributes of a cell with analog beams, and what is asked and set of them from outside.
#include <algorithm>
#include <array>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

#include "ns3/double.h"
#include "ns3/nstime.h"
#include "ns3/simulator.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"

#include "nr-analog-beamformer.h"
#include "nr-cell.h"

namespace edgelam::nr {

void BeamSettings::CheckBeams() const {
    const auto refuse = [](const char* name, const auto& value, const char* legal) {
        std::ostringstream text;
        text << "NR cell: " << name << " " << value << "; legal " << legal;
        throw std::invalid_argument(text.str());
    };
    constexpr std::array periods{5, 10, 20, 40, 80, 160};
    if (std::ranges::none_of(periods, [&](int ms) { return ssbPeriod == ns3::MilliSeconds(ms); })) {
        refuse("SsbPeriod", ssbPeriod.As(ns3::Time::MS), "are 5, 10, 20, 40, 80 and 160 ms (TS 38.331)");
    }
    if (qclSymbols != 7 && qclSymbols != 14 && qclSymbols != 28) {
        refuse("TimeDurationForQcl", qclSymbols, "are 7, 14 and 28 symbols (TS 38.306)");
    }
    constexpr std::array counts{1U, 2U, 3U, 4U, 5U, 6U, 8U, 10U};
    for (const auto& [name, value] : {std::pair{"BeamFailureInstanceMaxCount", beamFailureMaxCount},
                                      {"BeamFailureDetectionTimer", beamFailureTimer}}) {
        if (std::ranges::find(counts, value) == counts.end()) {
            refuse(name, value, "are 1, 2, 3, 4, 5, 6, 8 and 10 (TS 38.331)");
        }
    }
    constexpr std::array recoveryTimes{10, 20, 40, 60, 80, 100, 150, 200};
    if (std::ranges::none_of(recoveryTimes, [&](int ms) { return beamRecoveryTimer == ns3::MilliSeconds(ms); })) {
        refuse("BeamFailureRecoveryTimer", beamRecoveryTimer.As(ns3::Time::MS),
               "are 10, 20, 40, 60, 80, 100, 150 and 200 ms (TS 38.331)");
    }
    if (reportedBeams == 3) {
        refuse("ReportedBeams", reportedBeams, "are 1, 2 and 4 (nrofReportedRS of TS 38.331)");
    }
}

ns3::TypeId Cell::AddBeams(ns3::TypeId tid) {
    using namespace ns3;
    // A setting as a member of the cell, for accessors.
    const auto of = []<class T, class C>(T C::* member) { return static_cast<T Cell::*>(member); };
    const auto whole = [](unsigned smallest, unsigned largest) {
        return MakeUintegerChecker<unsigned>(smallest, largest);
    };
    return tid
        .AddAttribute(
            "SsbRows",
            "With Beams analog: beams of the sweep along the rows of a panel of the gNB; 0: one for each row, "
            "or fewer if there is no room for so many SSBs.",
            UintegerValue(BeamSettings{}.ssbRows), MakeUintegerAccessor(of(&CellSettings::ssbRows)), whole(0, 64))
        .AddAttribute("SsbColumns", "With Beams analog: the same along its columns.",
                      UintegerValue(BeamSettings{}.ssbColumns), MakeUintegerAccessor(of(&CellSettings::ssbColumns)),
                      whole(0, 64))
        .AddAttribute("SsbPeriod", "With Beams analog: ssb-periodicityServingCell of TS 38.331, from burst to burst.",
                      TimeValue(BeamSettings{}.ssbPeriod), MakeTimeAccessor(of(&CellSettings::ssbPeriod)),
                      MakeTimeChecker(MilliSeconds(5), MilliSeconds(160)))
        .AddAttribute("CsiRsPeriod",
                      "With Beams analog: time between two refinements of a UE's beam with CSI-RS; 0: none.",
                      TimeValue(BeamSettings{}.csiRsPeriod), MakeTimeAccessor(of(&CellSettings::csiRsPeriod)),
                      MakeTimeChecker(MilliSeconds(0), MilliSeconds(10240)))
        .AddAttribute("BeamOversampling",
                      "With Beams analog: narrow beams along each side of a panel, for each of its elements.",
                      UintegerValue(BeamSettings{}.beamOversampling),
                      MakeUintegerAccessor(of(&CellSettings::beamOversampling)), whole(1, 8))
        .AddAttribute("ReportedBeams", "With Beams analog: nrofReportedRS of TS 38.331, beams in a report: 1, 2 or 4.",
                      UintegerValue(BeamSettings{}.reportedBeams),
                      MakeUintegerAccessor(of(&CellSettings::reportedBeams)), whole(1, 4))
        .AddAttribute("BeamMargin",
                      "With Beams analog: by how many dB another beam must be stronger than that of a UE to become it.",
                      DoubleValue(BeamSettings{}.beamMarginDb), MakeDoubleAccessor(of(&CellSettings::beamMarginDb)),
                      MakeDoubleChecker<double>(0, 30))
        .AddAttribute(
            "TimeDurationForQcl",
            "With Beams analog: timeDurationForQCL of TS 38.306, symbols from a DCI until its beam: 7, 14, 28.",
            UintegerValue(BeamSettings{}.qclSymbols), MakeUintegerAccessor(of(&CellSettings::qclSymbols)), whole(7, 28))
        .AddAttribute("UePanels",
                      "With Beams analog: panels of a UE, its array and turned copies of it, evenly around the "
                      "vertical; 0 and 1: one.",
                      UintegerValue(BeamSettings{}.uePanels), MakeUintegerAccessor(of(&CellSettings::uePanels)),
                      whole(0, 8))
        .AddAttribute("BeamFailureInstanceMaxCount",
                      "With Beams analog: beamFailureInstanceMaxCount of TS 38.331, bad measurements of the serving "
                      "beam, one in each SsbPeriod, until it has failed.",
                      UintegerValue(BeamSettings{}.beamFailureMaxCount),
                      MakeUintegerAccessor(of(&CellSettings::beamFailureMaxCount)), whole(1, 10))
        .AddAttribute("BeamFailureDetectionTimer",
                      "With Beams analog: beamFailureDetectionTimer, good measurements after which bad ones are "
                      "forgotten.",
                      UintegerValue(BeamSettings{}.beamFailureTimer),
                      MakeUintegerAccessor(of(&CellSettings::beamFailureTimer)), whole(1, 10))
        .AddAttribute(
            "BeamCandidateRsrp",
            "With Beams analog: rsrp-ThresholdSSB of TS 38.331 for recovery, L1-RSRP that a beam must have to "
            "be chosen after a failure, dBm.",
            DoubleValue(BeamSettings{}.beamCandidateDbm), MakeDoubleAccessor(of(&CellSettings::beamCandidateDbm)),
            MakeDoubleChecker<double>(-156, -31))
        .AddAttribute("BeamFailureRecoveryTimer",
                      "With Beams analog: beamFailureRecoveryTimer, how long a UE may use a preamble of its own.",
                      TimeValue(BeamSettings{}.beamRecoveryTimer),
                      MakeTimeAccessor(of(&CellSettings::beamRecoveryTimer)),
                      MakeTimeChecker(MilliSeconds(10), MilliSeconds(200)))
        .AddTraceSource("Beams", "What happens with the analog beams of UEs.",
                        MakeTraceSourceAccessor(&Cell::m_beamTrace), "edgelam::nr::Cell::BeamCallback");
}

void Cell::MakeBeamManagement(const ns3::PhasedArrayModel& array) {
    if (!ns3::DynamicCast<AnalogBeamformer>(m_beamformer)) {
        return;
    }
    if (m_carrier->ReceivesTogether()) {
        throw std::invalid_argument("NR cell: UplinkSelection '" + uplinkSelection + "' with Beams '" + beams +
                                    "', where the gNB receives over one analog beam; legal is none");
    }
    m_beamManagement = std::make_unique<BeamManagement>(
        *m_carrier, *m_links, array, m_random, [this](std::uint32_t ue, double dbm) { SendPreamble(ue, dbm); },
        m_beamTrace);
}

void Cell::AddAnalog(std::uint32_t ue, ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array) {
    auto panels = std::make_unique<UePanels>(array, uePanels);
    std::vector<ns3::Ptr<ChannelLink>> links;
    for (const auto& panel : panels->All()) {
        links.push_back(LinkTo(mobility, panel));
    }
    m_beamManagement->Add(ue, std::move(panels), std::move(links));
}

BeamManagement& Cell::GetBeamManagement() const {
    CheckSet("analog beams");
    if (!m_beamManagement) {
        throw std::invalid_argument("NR cell: analog beams with Beams '" + beams + "'; legal is analog");
    }
    return *m_beamManagement;
}

} // namespace edgelam::nr
