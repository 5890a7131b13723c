// SPDX-License-Identifier: GPL-2.0-only
#include "nr-measurements.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <stdexcept>

#include "ns3/log.h"
#include "ns3/simulator.h"

NS_LOG_COMPONENT_DEFINE("NrMeasurements");

namespace edgelam::nr {

void MeasurementSettings::Check() const {
    event.Check();
    std::ostringstream text;
    if (period < ns3::MilliSeconds(5) || period > ns3::Seconds(1)) {
        text << "measurement period " << period.As(ns3::Time::MS) << "; legal are 5 ms to 1 s";
    } else if (filterCoefficient > 19) {
        text << "filter coefficient " << filterCoefficient << "; legal are 0 to 19 (TS 38.331 FilterCoefficient)";
    } else if (reportInterval < ns3::MilliSeconds(120) || reportInterval > ns3::Seconds(1800)) {
        text << "report interval " << reportInterval.As(ns3::Time::MS)
             << "; legal are 120 ms to 30 min (TS 38.331 ReportInterval)";
    } else {
        return;
    }
    throw std::invalid_argument(text.str());
}

Measurements::Measurements(Network& network, const MeasurementSettings& settings)
    : m_network(network), m_settings(settings), m_numCells(network.NumCells()),
      m_pairs(m_numCells * m_numCells, settings.event), m_rsrpDbm(m_numCells) {
    settings.Check();
    for (std::uint32_t cell = 0; cell < m_numCells; ++cell) {
        const double carrierHz = network.GetCell(cell)->GetChannel()->GetStatistics().GetFrequencyHz();
        m_weight.push_back(FilterWeight(settings.filterCoefficient, settings.period, FilterPeriod(carrierHz)));
    }
    for (std::uint32_t ue = 0; ue < network.NumUes(); ++ue) {
        m_ues.push_back({std::vector<Layer3Filter>(m_numCells), std::vector<double>(m_numCells, std::nan("")),
                         EventA3(m_numCells), ns3::Time()});
    }
}

void Measurements::Start(Listener listener) {
    m_listener = std::move(listener);
    m_tick = ns3::Simulator::Schedule(m_settings.period, &Measurements::Tick, this);
}

void Measurements::SetPair(std::uint32_t serving, std::uint32_t cell, const EventA3Settings& settings) {
    settings.Check();
    m_pairs[serving * m_numCells + cell] = settings;
}

void Measurements::Restart(std::uint32_t ue) {
    m_ues[ue].event.Reset();
    m_ues[ue].nextReport = ns3::Time();
}

void Measurements::Tick() {
    for (std::uint32_t ue = 0; ue < m_ues.size(); ++ue) {
        Look(ue);
    }
    m_listener.after();
    m_tick = ns3::Simulator::Schedule(m_settings.period, &Measurements::Tick, this);
}

void Measurements::Look(std::uint32_t number) {
    Ue& ue = m_ues[number];
    const ns3::Time now = ns3::Simulator::Now();
    for (std::uint32_t cell = 0; cell < m_numCells; ++cell) {
        m_rsrpDbm[cell] = m_network.RsrpDbm(cell, number);
        ue.filteredDbm[cell] = ue.filters[cell].Add(m_rsrpDbm[cell], m_weight[cell]);
    }
    const auto serving = m_network.ServingCell(number);
    bool due = false;
    if (serving) {
        const bool entered = ue.event.Evaluate(now, ue.filteredDbm, *serving,
                                               std::span(m_pairs).subspan(*serving * m_numCells, m_numCells));
        due = entered || (!ue.event.Triggered().empty() && now >= ue.nextReport);
    }
    if (m_listener.trace) {
        const auto slot = m_network.GetCell(0)->GetNumerology().SlotAt(now.GetNanoSeconds());
        for (std::uint32_t cell = 0; cell < m_numCells; ++cell) {
            m_listener.trace({now.GetNanoSeconds(), static_cast<std::uint64_t>(slot), number, cell,
                              serving ? static_cast<std::int32_t>(*serving) : -1, m_rsrpDbm[cell], ue.filteredDbm[cell],
                              std::ranges::binary_search(ue.event.Triggered(), cell) && serving, due});
        }
    }
    if (due) {
        ue.nextReport = now + m_settings.reportInterval;
        auto cells = ue.event.Triggered();
        std::ranges::stable_sort(cells, std::greater(), [&](std::uint32_t cell) { return ue.filteredDbm[cell]; });
        NS_LOG_LOGIC("UE " << number << " reports cell " << cells.front() << ", " << ue.filteredDbm[cells.front()]
                           << " dBm, over cell " << *serving << ", " << ue.filteredDbm[*serving] << " dBm");
        m_listener.report(number, cells);
    }
}

} // namespace edgelam::nr
