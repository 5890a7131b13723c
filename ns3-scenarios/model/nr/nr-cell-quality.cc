// SPDX-License-Identifier: GPL-2.0-only
// Quality of service in a cell: bearers, guaranteed rates, slices, and caps.
#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "ns3/string.h"

#include "nr-cell.h"
#include "nr-exclusive-scheduler.h"

namespace edgelam::nr {

ns3::TypeId Cell::AddQuality(ns3::TypeId tid) {
    return tid.AddAttribute(
        "Slices",
        "Groups of UEs with a share of the band and the part of it that they get at most: 0-4:0.3:0.6,5+7:0.7 (UEs, "
        "share, at most).",
        ns3::StringValue(""), ns3::MakeStringAccessor(static_cast<std::string Cell::*>(&CellSettings::slices)),
        ns3::MakeStringChecker());
}

void Cell::MakeSlices() {
    const auto parsed = SliceSettings::Parse(slices);
    m_slices = parsed.slices;
    m_sliceOf = parsed.sliceOf;
    if (!m_slices.empty()) {
        for (SliceBudget* budget : Budgets("slices")) {
            budget->SetSlices(parsed, m_carrier->numPrbs);
        }
    }
}

std::array<SliceBudget*, 2> Cell::Budgets(const char* what) const {
    std::array<SliceBudget*, 2> budgets{};
    for (const Direction direction : {Direction::Downlink, Direction::Uplink}) {
        const auto exclusive = ns3::DynamicCast<ExclusiveScheduler>(GetScheduler(direction));
        if (!exclusive) {
            throw std::invalid_argument("NR cell: " + std::string(what) + " with Scheduler '" + scheduler +
                                        "'; legal are rr, pf, max-rate, external, or a class derived from " +
                                        ExclusiveScheduler::GetTypeId().GetName());
        }
        budgets[static_cast<std::size_t>(direction)] = &exclusive->Budget();
    }
    return budgets;
}

Cell::Change Cell::SliceShares(const std::vector<double>& down, const std::vector<double>& up) {
    CheckSet("shares of slices");
    for (const auto* shares : {&down, &up}) {
        if (shares->size() != m_slices.size()) {
            throw std::invalid_argument("NR cell: " + std::to_string(shares->size()) +
                                        " shares of slices; legal is one for each of the " +
                                        std::to_string(m_slices.size()) + " slices");
        }
        SliceSettings::CheckShares(*shares);
    }
    const auto budgets = Budgets("shares of slices");
    return FromNextSlot([budgets, down, up] {
        budgets[0]->SetShares(down);
        budgets[1]->SetShares(up);
    });
}

Cell::Change Cell::SliceCaps(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up) {
    CheckSet("caps of slices");
    for (const auto* caps : {&down, &up}) {
        if (caps->size() != m_slices.size()) {
            throw std::invalid_argument("NR cell: " + std::to_string(caps->size()) +
                                        " caps of slices; legal is one for each of the " +
                                        std::to_string(m_slices.size()) + " slices");
        }
        for (const auto prbs : *caps) {
            CheckCap(prbs);
        }
    }
    const auto budgets = Budgets("caps of slices");
    return FromNextSlot(
        [budgets, down, up] {
            budgets[0]->SetCaps(down);
            budgets[1]->SetCaps(up);
        },
        m_carrier->longestGrant);
}

Cell::Change Cell::CellCaps(std::uint32_t down, std::uint32_t up) {
    CheckSet("caps of the cell");
    CheckCap(down);
    CheckCap(up);
    const auto budgets = Budgets("caps of the cell");
    return FromNextSlot(
        [budgets, down, up] {
            budgets[0]->SetCellCap(down);
            budgets[1]->SetCellCap(up);
        },
        m_carrier->longestGrant);
}

void Cell::CheckCap(std::uint32_t prbs) const {
    if (prbs > m_carrier->numPrbs) {
        throw std::invalid_argument("NR cell: cap of " + std::to_string(prbs) + " resource blocks; legal are 0 to " +
                                    std::to_string(m_carrier->numPrbs) + ", which is no cap");
    }
}

std::vector<std::int32_t> Cell::SliceOfUes() const {
    if (!m_isOneOfSeveral && m_sliceOf.size() > NumUes()) {
        throw std::invalid_argument("slices: '" + slices + "' names UE " + std::to_string(m_sliceOf.size() - 1) +
                                    "; legal are the UEs of the cell, 0 to " + std::to_string(NumUes() - 1));
    }
    std::vector<std::int32_t> of = m_sliceOf;
    of.resize(std::max<std::size_t>(of.size(), NumUes()), -1);
    return of;
}

double Cell::PeakBps(Direction direction) const {
    CheckSet("the peak rate");
    const bool uplink = direction == Direction::Uplink;
    const auto& pattern = m_carrier->pattern;
    const double symbols = (uplink ? pattern.UplinkSymbols() : pattern.DownlinkSymbols()) /
                           (1e-9 * static_cast<double>(m_carrier->numerology.MeanSlotNs() * pattern.NumSlots()));
    const unsigned layers = uplink ? m_carrier->settings.maxUplinkLayers : m_carrier->settings.maxLayers;
    return 12 * m_carrier->numPrbs * symbols * layers *
           McsAt(m_carrier->mcsTable, NumMcs(m_carrier->mcsTable) - 1).Efficiency();
}

void Cell::CheckGuaranteed(double bps, Direction direction) const {
    if (const double most = PeakBps(direction); bps > most) {
        std::ostringstream text;
        text << "NR cell: a guaranteed rate of " << bps * 1e-6 << " Mb/s "
             << (direction == Direction::Uplink ? "up" : "down") << "; legal is at most what the cell can carry, "
             << most * 1e-6 << " Mb/s";
        throw std::invalid_argument(text.str());
    }
}

void Cell::CheckBearers(const std::vector<QosBearer>& bearers) const {
    for (const Direction direction : {Direction::Downlink, Direction::Uplink}) {
        for (const auto& each : bearers) {
            each.settings.Check();
            CheckGuaranteed(each.guaranteedBps[static_cast<std::size_t>(direction)], direction);
        }
        Bearers check(bearers, direction);
    }
}

const Bearers& Cell::GetBearers(std::uint32_t ue, Direction direction) const {
    return m_mac->Of(ue, direction).bearers;
}

void Cell::SetGuaranteed(std::span<const double> bps) {
    CheckSet("guaranteed rates");
    std::vector<std::array<Bearers*, 2>> bearers;
    for (const auto ue : Ues()) {
        bearers.push_back({&m_mac->Of(ue, Direction::Downlink).bearers, &m_mac->Of(ue, Direction::Uplink).bearers});
    }
    SetGuaranteedRates(bps, bearers,
                       [this](std::size_t, double rate, Direction direction) { CheckGuaranteed(rate, direction); });
}

} // namespace edgelam::nr
