// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What happens in NR cells, record by record, if somebody subscribes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ns3/callback.h"
#include "ns3/ptr.h"

#include "nr-cells.h"
#include "participant-time.h"
#include "registry.h"

namespace edgelam {

/// A record, and the number of the cell that it is of. Its fields are those of the record, and `cell`.
template<class Record>
struct InCell {
    Record record;
    std::uint32_t cell;
};

template<class Record>
const char* EdgelamName(const InCell<Record>*) {
    return EdgelamName(static_cast<const Record*>(nullptr));
}

template<class Record>
std::vector<bridge::FieldDescription> EdgelamFields(const InCell<Record>*) {
    auto fields = bridge::DescribeFields<Record>();
    fields.push_back(bridge::detail::DescribeField<std::uint32_t>("cell", offsetof(InCell<Record>, cell)));
    return fields;
}

/// One trace source of all cells as an observable (see Registry::PublishTrace): connected, and records kept, only while
/// somebody subscribes. Records of a network have the field `cell` in addition.
template<class Record>
class NrTrace {
  public:
    /// \param tell lets a cell tell what it has not told so far; empty: it tells everything at once
    NrTrace(const NrCells& cells, std::string source, Registry& registry, std::string name, std::string help,
            void (nr::Cell::*tell)() = nullptr)
        : m_cells(cells.All()), m_source(std::move(source)), m_tell(tell) {
        const auto record = [this](bool on) { Connect(on); };
        if (cells.AreNetwork()) {
            registry.PublishTrace<InCell<Record>>(std::move(name), std::move(help), [this] { return Take(); }, record);
        } else {
            registry.PublishTrace<Record>(
                std::move(name), std::move(help),
                [this] {
                    std::vector<Record> records;
                    for (const auto& each : Take()) {
                        records.push_back(each.record);
                    }
                    return records;
                },
                record);
        }
    }
    NrTrace(const NrTrace&) = delete;
    NrTrace& operator=(const NrTrace&) = delete;

  private:
    void Tell() {
        for (const auto& cell : m_cells) {
            if (m_tell != nullptr) {
                ((*cell).*m_tell)();
            }
        }
    }
    std::vector<InCell<Record>> Take() {
        Tell();
        return std::exchange(m_records, {});
    }
    void Connect(bool on) {
        Tell();
        for (std::uint32_t cell = 0; cell < m_cells.size(); ++cell) {
            const auto add = ns3::MakeCallback(&NrTrace::Add, this, cell);
            if (on) {
                m_cells[cell]->TraceConnectWithoutContext(m_source, add);
            } else {
                m_cells[cell]->TraceDisconnectWithoutContext(m_source, add);
            }
        }
        m_records = {};
    }
    void Add(std::uint32_t cell, const Record& record) {
        m_records.push_back({record, cell});
        Record& kept = m_records.back().record;
        kept.time_ns = ParticipantNs(record.time_ns);
        if constexpr (requires { record.arrived_ns; }) {
            kept.arrived_ns = ParticipantNs(record.arrived_ns);
        }
    }

    std::vector<ns3::Ptr<nr::Cell>> m_cells;
    std::string m_source;
    void (nr::Cell::*m_tell)();
    std::vector<InCell<Record>> m_records;
};

/// Publishes, all [record]:
///
///     trace_blocks     nr::TransportBlockRecord of each transmission
///     trace_packets    nr::PacketRecord of each packet delivered
///     trace_csi        nr::CsiReportRecord of each report
///     trace_power      nr::PowerRecord of each stretch of slots
///
/// In a network they have the cell in addition. Records of one UE are in the order of time; those of different cells
/// that are told together need not be.
///
/// Must live as long as the run.
class NrTraces {
  public:
    NrTraces(const NrCells& cells, Registry& registry);

  private:
    NrTrace<nr::TransportBlockRecord> m_blocks;
    NrTrace<nr::PacketRecord> m_packets;
    NrTrace<nr::CsiReportRecord> m_csi;
    NrTrace<nr::PowerRecord> m_power;
};

} // namespace edgelam
