// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A cell does not grow, however long it runs.

#include <fstream>

#include <unistd.h>

#include "ns3/simulator.h"

#include "nr-cell-testbed.h"

using namespace edgelam;
using namespace edgelam::test;

namespace {

constexpr double most_growth_mib = 2;

double ResidentMib() {
    std::ifstream file("/proc/self/statm");
    double pages = 0;
    file >> pages >> pages; // size, resident
    return pages * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

/// A gNB and UEs that walk to and fro at 3 km/h; the packets they get are counted and forgotten.
class WalkedCell {
  public:
    WalkedCell(std::uint32_t numUe, const std::function<void(WalkedCell&)>& traffic, ns3::Time period)
        : m_channel(MakeChannel({.deployment = "UMi", .los = "Probability", .frequency = 3.5e9})), m_traffic(traffic),
          m_period(period) {
        m_channel->SetAttribute("CoherenceDistance", ns3::DoubleValue(0.03));
        cell->SetAttribute("Bandwidth", ns3::DoubleValue(20e6));
        cell->AssignStreams(20);
        cell->SetGnb(m_channel, m_gnb.mobility, m_gnb.array);
        cell->SetDeliver([this](std::uint32_t, ns3::Ptr<ns3::Packet>) { ++packets; }, nullptr);
        for (std::uint32_t i = 0; i < numUe; ++i) {
            m_ues.push_back(MakeEnd({30.0 + 20 * i, 10, 1.5}, 1, 2, true));
            m_ues.back().mobility->SetVelocity({0, 1 / 1.2, 0});
            cell->AddUe(m_ues.back().mobility, m_ues.back().array);
        }
        ns3::Simulator::ScheduleNow(&WalkedCell::Send, this);
        ns3::Simulator::Schedule(ns3::Seconds(30), &WalkedCell::Turn, this);
    }
    ~WalkedCell() {
        ns3::Simulator::Destroy();
        cell->Dispose();
        m_channel->Dispose();
    }
    WalkedCell(const WalkedCell&) = delete;
    WalkedCell& operator=(const WalkedCell&) = delete;

    /// MiB by which the process grows from the end of the warm-up to the end of the run.
    double Growth(double warmUpS, double stopS) {
        double before = 0;
        ns3::Simulator::Schedule(ns3::Seconds(warmUpS), [&] { before = ResidentMib(); });
        ns3::Simulator::Stop(ns3::Seconds(stopS));
        ns3::Simulator::Run();
        return ResidentMib() - before;
    }

    ns3::Ptr<nr::Cell> cell = ns3::CreateObject<nr::Cell>();
    std::uint64_t packets = 0;

  private:
    void Send() {
        m_traffic(*this);
        ns3::Simulator::Schedule(m_period, &WalkedCell::Send, this);
    }
    void Turn() {
        for (const auto& ue : m_ues) {
            ue.mobility->SetVelocity({0, -ue.mobility->GetVelocity().y, 0});
        }
        ns3::Simulator::Schedule(ns3::Seconds(30), &WalkedCell::Turn, this);
    }

    ns3::Ptr<RadioChannel> m_channel;
    End m_gnb = MakeEnd({0, 0, 10}, 4, 4, true);
    std::vector<End> m_ues;
    std::function<void(WalkedCell&)> m_traffic;
    ns3::Time m_period;
};

void Judge(Case& test, double growthMib) {
    test.True(growthMib < most_growth_mib, "grows by " + std::to_string(growthMib) + " MiB");
}

void Idle(Case& test) {
    const auto ping = [](WalkedCell& bed) {
        for (std::uint32_t ue = 0; ue < bed.cell->NumUes(); ++ue) {
            bed.cell->SendDown(ue, ns3::Create<ns3::Packet>(100));
            bed.cell->SendUp(ue, ns3::Create<ns3::Packet>(100));
        }
    };
    WalkedCell bed(4, ping, ns3::Seconds(1));
    Judge(test, bed.Growth(120, 1800)); // there and back twice
    test.True(bed.packets >= 4 * 1798, "packets arrive: " + std::to_string(bed.packets));
}

void Loaded(Case& test) {
    const auto fill = [](WalkedCell& bed) {
        for (std::uint32_t ue = 0; ue < bed.cell->NumUes(); ++ue) {
            while (bed.cell->DownBearer(ue).BacklogBytes() < 200'000 &&
                   bed.cell->SendDown(ue, ns3::Create<ns3::Packet>(1500))) {
            }
        }
    };
    WalkedCell bed(2, fill, ns3::MilliSeconds(1));
    Judge(test, bed.Growth(10, 60));
    test.True(bed.packets > 60 * 5000, "60 Mb/s and more: " + std::to_string(bed.packets) + " packets");
}

CaseSuite nrMemoryTestSuite("edgelam-nr-memory", {{"30 minutes idle", Idle}, {"60 s at load", Loaded}});

} // namespace
