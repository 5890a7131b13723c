// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What happens in an NR cell, record by record, if somebody subscribes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "ns3/callback.h"
#include "ns3/ptr.h"

#include "nr-cell.h"
#include "participant-time.h"
#include "registry.h"

namespace edgelam {

/// One trace source of a cell as an observable (see Registry::PublishTrace): connected, and records kept, only while
/// somebody subscribes.
template<class Record>
class NrTrace {
  public:
    /// \param tell lets the cell tell what it has not told so far; empty: it tells everything at once
    NrTrace(ns3::Ptr<nr::Cell> cell, std::string source, Registry& registry, std::string name, std::string help,
            void (nr::Cell::*tell)() = nullptr)
        : m_cell(std::move(cell)), m_source(std::move(source)), m_tell(tell) {
        registry.PublishTrace<Record>(
            std::move(name), std::move(help),
            [this] {
                Tell();
                return std::exchange(m_records, {});
            },
            [this](bool on) { Connect(on); });
    }
    NrTrace(const NrTrace&) = delete;
    NrTrace& operator=(const NrTrace&) = delete;

  private:
    void Tell() {
        if (m_tell != nullptr) {
            ((*m_cell).*m_tell)();
        }
    }
    void Connect(bool on) {
        Tell();
        const auto add = ns3::MakeCallback(&NrTrace::Add, this);
        if (on) {
            m_cell->TraceConnectWithoutContext(m_source, add);
        } else {
            m_cell->TraceDisconnectWithoutContext(m_source, add);
            m_records = {};
        }
    }
    void Add(const Record& record) {
        m_records.push_back(record);
        m_records.back().time_ns = ParticipantNs(record.time_ns);
        if constexpr (requires { record.arrived_ns; }) {
            m_records.back().arrived_ns = ParticipantNs(record.arrived_ns);
        }
    }

    ns3::Ptr<nr::Cell> m_cell;
    std::string m_source;
    void (nr::Cell::*m_tell)();
    std::vector<Record> m_records;
};

/// Publishes, all [record]:
///
///     trace_blocks     nr::TransportBlockRecord of each transmission
///     trace_packets    nr::PacketRecord of each packet delivered
///     trace_csi        nr::CsiReportRecord of each report
///     trace_power      nr::PowerRecord of each stretch of slots
///
/// Must live as long as the run.
class NrTraces {
  public:
    NrTraces(const ns3::Ptr<nr::Cell>& cell, Registry& registry);

  private:
    NrTrace<nr::TransportBlockRecord> m_blocks;
    NrTrace<nr::PacketRecord> m_packets;
    NrTrace<nr::CsiReportRecord> m_csi;
    NrTrace<nr::PowerRecord> m_power;
};

} // namespace edgelam
