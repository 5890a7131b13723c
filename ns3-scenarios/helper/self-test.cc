// SPDX-License-Identifier: GPL-2.0-only
#include "self-test.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <functional>
#include <iostream>

#include "ns3/bulk-send-application.h"
#include "ns3/config.h"
#include "ns3/inet-socket-address.h"
#include "ns3/packet-sink.h"
#include "ns3/pointer.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/tcp-congestion-ops.h"
#include "ns3/tcp-socket-factory.h"
#include "ns3/uinteger.h"

#include "json.h"
#include "participant-time.h"

namespace edgelam {

using ns3::Ptr;
using ns3::Seconds;
using ns3::Simulator;

namespace {

struct Pair {
    const ExposedNode* device;
    const ExposedNode* server;
};

/// One line of the result.
struct Row {
    const ExposedNode* source;
    const ExposedNode* receiver;
    bridge::TransferRecord record{};
    bool begun = false; ///< an answer: what it answers has come
    bool ended = false;
};

std::vector<Pair> Pairs(const std::vector<ExposedNode>& nodes) {
    std::vector<const ExposedNode*> devices, servers;
    for (const auto& node : nodes) {
        if (node.application) {
            (node.role == "ue" ? devices : servers).push_back(&node);
        }
    }
    std::vector<Pair> pairs;
    for (std::size_t i = 0; i < devices.size() && !servers.empty(); ++i) {
        pairs.push_back({devices[i], servers[i % servers.size()]});
    }
    return pairs;
}

double Seconds64(std::int64_t ns) {
    return ns == bridge::not_yet_ns ? std::nan("") : static_cast<double>(ns) * 1e-9;
}

double GoodputMbps(const bridge::TransferRecord& record) {
    const std::int64_t ns = record.last_byte_ns - record.queued_ns;
    return ns > 0 ? static_cast<double>(record.delivered_bytes) * 8e3 / static_cast<double>(ns) : 0;
}

/// The transfers of the test, and their answers.
class TransferTest {
  public:
    TransferTest(const SelfTestOptions& options, const std::vector<Pair>& pairs) : m_pairs(pairs) {
        m_spec.protocol = options.protocol == "tcp"   ? bridge::TransferProtocol::tcp
                          : options.protocol == "udp" ? bridge::TransferProtocol::udp
                                                      : bridge::TransferProtocol::ideal;
        m_spec.size_bytes = options.bytes;
        m_rows.resize(2 * pairs.size());
        m_open = m_rows.size();
        for (std::size_t i = 0; i < pairs.size(); ++i) {
            m_rows[i] = {pairs[i].device, pairs[i].server};
            m_rows[pairs.size() + i] = {pairs[i].server, pairs[i].device};
            // In two steps: the first comes before the applications have started, the second after.
            Simulator::Schedule(Seconds(0), [this, i] { Simulator::ScheduleNow([this, i] { Start(i); }); });
        }
    }
    const std::vector<Row>& rows() const { return m_rows; }
    bool Complete() const {
        return std::all_of(m_rows.begin(), m_rows.end(), [](const Row& row) {
            return row.ended && row.record.status == static_cast<std::int32_t>(bridge::TransferStatus::complete) &&
                   row.record.delivered_bytes == row.record.size_bytes;
        });
    }

  private:
    void Start(std::size_t row) {
        const auto& source = m_rows[row].source->application;
        const auto& receiver = m_rows[row].receiver->application;
        if (const auto reason = source->Refusal(m_spec, {receiver}); !reason.empty()) {
            std::cerr << "refused: " << reason << std::endl;
            Simulator::Stop();
            return;
        }
        const auto delivered = [this, row](Transfer&, std::size_t) {
            if (row < m_pairs.size()) { // the answer, in an event of its own
                m_rows[row + m_pairs.size()].begun = true;
                Simulator::ScheduleNow([this, row] { Start(row + m_pairs.size()); });
            }
        };
        const auto ended = [this, row](Transfer& transfer, std::size_t share) {
            m_rows[row].record = transfer.shares[share].record;
            m_rows[row].ended = true;
            const bool failed = !transfer.shares[share].failure.empty();
            if (failed) {
                std::cerr << "failed: " << transfer.shares[share].failure << std::endl;
            }
            --m_open;
            if (row < m_pairs.size() && !m_rows[row + m_pairs.size()].begun) {
                --m_open; // nothing was received that could be answered
            }
            if (m_open == 0 || failed) {
                Simulator::Stop();
            }
        };
        source->Send(m_spec, {receiver}, delivered, ended);
    }

    std::vector<Pair> m_pairs;
    TransferSpec m_spec;
    std::vector<Row> m_rows;
    std::size_t m_open;
};

/// The same bytes upwards with ns-3's own applications and the TCP settings of ours.
class BulkSendTest {
  public:
    BulkSendTest(const SelfTestOptions& options, const std::vector<Pair>& pairs)
        : m_bytes(options.bytes), m_pairs(pairs) {
        const auto socket = pairs.front().device->application->MakeTcpSocket();
        for (const char* name : {"SegmentSize", "SndBufSize", "RcvBufSize", "InitialCwnd", "DelAckTimeout"}) {
            Copy(*socket, name, "ns3::TcpSocket::");
        }
        Copy(*socket, "MinRto", "ns3::TcpSocketBase::");
        ns3::PointerValue congestion;
        socket->GetAttribute("CongestionOps", congestion);
        ns3::Config::Set("/NodeList/*/$ns3::TcpL4Protocol/SocketType",
                         ns3::TypeIdValue(congestion.GetObject()->GetInstanceTypeId()));
        ns3::UintegerValue segment;
        socket->GetAttribute("SegmentSize", segment);
        std::uint16_t port = 6001;
        for (const auto& pair : pairs) {
            auto sink = ns3::CreateObject<ns3::PacketSink>();
            sink->SetAttribute("Protocol", ns3::TypeIdValue(ns3::TcpSocketFactory::GetTypeId()));
            sink->SetAttribute("Local", ns3::AddressValue(ns3::InetSocketAddress(ns3::Ipv4Address::GetAny(), port)));
            pair.server->node->AddApplication(sink);
            auto bulk = ns3::CreateObject<ns3::BulkSendApplication>();
            bulk->SetAttribute("Protocol", ns3::TypeIdValue(ns3::TcpSocketFactory::GetTypeId()));
            bulk->SetAttribute("Remote",
                               ns3::AddressValue(ns3::InetSocketAddress(pair.server->application->GetAddress(), port)));
            bulk->SetAttribute("MaxBytes", ns3::UintegerValue(options.bytes));
            bulk->SetAttribute("SendSize", segment);
            pair.device->node->AddApplication(bulk);
            m_sinks.push_back(sink);
            ++port;
        }
        Simulator::Schedule(ns3::MilliSeconds(1), &BulkSendTest::Check, this);
    }
    bool Complete() const {
        for (const auto& sink : m_sinks) {
            if (sink->GetTotalRx() < m_bytes) {
                return false;
            }
        }
        return true;
    }

  private:
    static void Copy(const ns3::Socket& socket, const char* name, const std::string& type) {
        ns3::StringValue value;
        socket.GetAttribute(name, value);
        ns3::Config::SetDefault(type + name, value);
    }
    void Check() {
        if (Complete()) {
            Simulator::Stop();
        } else {
            Simulator::Schedule(ns3::MilliSeconds(1), &BulkSendTest::Check, this);
        }
    }

    std::uint64_t m_bytes;
    std::vector<Pair> m_pairs;
    std::vector<Ptr<ns3::PacketSink>> m_sinks;
};

void PrintTable(const std::vector<Row>& rows) {
    std::printf("%-10s %-10s %-10s %12s %12s %12s %12s %10s %7s\n", "from", "to", "status", "bytes", "queued s",
                "last byte s", "acked s", "Mb/s", "resent");
    for (const auto& row : rows) {
        const auto& r = row.record;
        const char* status = row.ended ? StatusName(static_cast<bridge::TransferStatus>(r.status)) : "unfinished";
        std::printf("%-10s %-10s %-10s %12llu %12.6f %12.6f %12.6f %10.2f %7u\n", row.source->name.c_str(),
                    row.receiver->name.c_str(), status, static_cast<unsigned long long>(r.delivered_bytes),
                    Seconds64(r.queued_ns), Seconds64(r.last_byte_ns), Seconds64(r.acknowledged_ns), GoodputMbps(r),
                    r.retransmissions);
    }
}

std::string RowJson(const Row& row) {
    const auto& r = row.record;
    return json::Object()
        .Add("source", row.source->name)
        .Add("receiver", row.receiver->name)
        .Add("status", row.ended ? StatusName(static_cast<bridge::TransferStatus>(r.status)) : "unfinished")
        .Add("size_bytes", static_cast<std::int64_t>(r.size_bytes))
        .Add("delivered_bytes", static_cast<std::int64_t>(r.delivered_bytes))
        .Add("queued_ns", r.queued_ns)
        .Add("first_byte_ns", r.first_byte_ns)
        .Add("last_byte_ns", r.last_byte_ns)
        .Add("acknowledged_ns", r.acknowledged_ns)
        .Add("retransmissions", r.retransmissions)
        .Text();
}

} // namespace

int RunSelfTest(const SelfTestOptions& options, const std::vector<ExposedNode>& nodes, double stopTimeS) {
    const auto pairs = Pairs(nodes);
    const bool bulkSend = options.traffic == "bulk-send" && !pairs.empty();
    std::unique_ptr<TransferTest> transfers;
    std::unique_ptr<BulkSendTest> bulk;
    if (bulkSend) {
        bulk = std::make_unique<BulkSendTest>(options, pairs);
    } else if (options.traffic == "transfers" && !pairs.empty()) {
        transfers = std::make_unique<TransferTest>(options, pairs);
    } else if (stopTimeS == 0) {
        stopTimeS = 1;
    }
    if (stopTimeS > 0) {
        Simulator::Stop(Seconds(stopTimeS));
    }
    const auto wall = std::chrono::steady_clock::now();
    const std::clock_t cpu = std::clock();
    Simulator::Run();
    const double wallS = std::chrono::duration<double>(std::chrono::steady_clock::now() - wall).count();
    const double cpuS = static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC;
    const bool complete = (!transfers || transfers->Complete()) && (!bulk || bulk->Complete());
    const double simulatedS = Seconds64(NowNs());
    const std::vector<Row> rows = transfers ? transfers->rows() : std::vector<Row>{};

    const bool sends = transfers || bulk;
    if (options.format == "json") {
        std::vector<std::string> list;
        for (const auto& row : rows) {
            list.push_back(RowJson(row));
        }
        std::cout << json::Object()
                         .Raw("complete", complete ? "true" : "false")
                         .Raw("simulated_s", std::to_string(simulatedS))
                         .Raw("wall_s", std::to_string(wallS))
                         .Raw("cpu_s", std::to_string(cpuS))
                         .Add("events", static_cast<std::int64_t>(Simulator::GetEventCount()))
                         .Raw("transfers", json::List(list))
                         .Text()
                  << std::endl;
    } else {
        if (!rows.empty()) {
            PrintTable(rows);
        }
        std::printf("%s %.6f simulated s in %.3f s (%.1f simulated s per s), %llu events\n",
                    !sends ? options.traffic == "none" ? "no test traffic:"
                                                       : "no test traffic, as there is no pair of a ue and a server "
                                                         "with IPv4:"
                    : complete ? "all arrived:"
                               : "NOT all arrived:",
                    simulatedS, wallS, simulatedS / std::max(wallS, 1e-9),
                    static_cast<unsigned long long>(Simulator::GetEventCount()));
    }
    return complete ? 0 : 1;
}

} // namespace edgelam
