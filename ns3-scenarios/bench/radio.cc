// SPDX-License-Identifier: GPL-2.0-only
// How many simulated seconds of an NR cell one core does in a second. Prints one JSON object; `edgelam bench radio`
// runs it.
//
// UMi, 3.5 GHz, 100 MHz at 30 kHz (273 resource blocks), TDD DDDSU, gNB 8 x 4 dual-polarised (64 elements), UEs of four
// antennas 20 to 150 m away that walk at 3 km/h, fast fading on, line of sight by probability, RLC AM. Traffic:
//   full  packets of 1500 bytes are put into the downlink bearers above RLC, as many as they take
//   idle  a packet of 100 bytes each second and UE
//   ip    the same as UDP datagrams from a server at the site; goodput is what reached the sockets of the UEs
//   large the same with six datagrams simulated as one (--joined=6)

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/double.h"
#include "ns3/inet-socket-address.h"
#include "ns3/ipv4.h"
#include "ns3/node.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"
#include "ns3/socket.h"
#include "ns3/string.h"
#include "ns3/udp-socket-factory.h"

#include "named-random.h"
#include "nr-cell.h"
#include "nr-helper.h"
#include "options.h"
#include "planar-array.h"

using namespace ns3;

namespace {

constexpr std::uint32_t packet_bytes = 1500;
constexpr std::uint64_t full_bytes = 500'000; ///< of a full bearer: twice what the cell carries in a millisecond

enum class Load : std::uint8_t { Full, Idle, Ip, LargeIp };

struct Case {
    const char* name;
    std::uint32_t numUe;
    Load load;
    double duration; ///< in units of the first argument
    bool byDefault;
};

constexpr Case cases[] = {
    {"1gnb-2ue", 2, Load::Full, 1, true},           {"1gnb-10ue", 10, Load::Full, 1, true},
    {"1gnb-100ue-idle", 100, Load::Idle, 10, true}, {"1gnb-2ue-ip", 2, Load::Ip, 1, true},
    {"1gnb-10ue-ip", 10, Load::Ip, 1, true},        {"1gnb-10ue-ip-large", 10, Load::LargeIp, 1, true},
    {"1gnb-30ue", 30, Load::Full, 1, false},        {"1gnb-100ue", 100, Load::Full, 1, false},
    {"1gnb-300ue", 300, Load::Full, 1, false}};

/// The gNB, the UEs and the channel between them.
struct Street {
    Ptr<edgelam::RadioChannel> channel = CreateObject<edgelam::RadioChannel>();
    Ptr<Node> gnb = CreateObject<Node>();
    std::vector<Ptr<Node>> ues;

    explicit Street(std::uint32_t numUe) {
        channel->SetAttribute("Deployment", StringValue("UMi"));
        channel->SetAttribute("Frequency", DoubleValue(3.5e9));
        channel->SetAttribute("CoherenceDistance", DoubleValue(0.03));
        channel->AssignStreams(1);
        auto site = CreateObject<ConstantPositionMobilityModel>();
        gnb->AggregateObject(site);
        site->SetPosition({0, 0, 10});
        edgelam::NamedRandom random(1, {numUe});
        for (std::uint32_t i = 0; i < numUe; ++i) {
            ues.push_back(CreateObject<Node>());
            auto ue = CreateObject<ConstantVelocityMobilityModel>();
            ues.back()->AggregateObject(ue);
            const double distance = 20 + 130 * random.Uniform(), azimuth = 2 * (random.Uniform() - 0.5);
            ue->SetPosition({distance * std::cos(azimuth), distance * std::sin(azimuth), 1.5});
            const double heading = 6.283 * random.Uniform();
            ue->SetVelocity({std::cos(heading) / 1.2, std::sin(heading) / 1.2, 0});
        }
    }
};

/// Packets straight into the bearers.
class AboveRlc {
  public:
    AboveRlc(const Street& street, Load load) : m_cell(CreateObject<edgelam::nr::Cell>()) {
        using edgelam::ElementPattern;
        m_cell->AssignStreams(2);
        m_cell->SetGnb(street.channel, street.gnb->GetObject<MobilityModel>(),
                       edgelam::MakePlanarArray(8, 4, true, ElementPattern::Sector));
        for (const auto& ue : street.ues) {
            m_cell->AddUe(ue->GetObject<MobilityModel>(),
                          edgelam::MakePlanarArray(1, 2, true, ElementPattern::Isotropic));
        }
        m_cell->SetDeliver([this](std::uint32_t, Ptr<Packet> packet) { m_bytes += packet->GetSize(); }, nullptr);
        if (load == Load::Full) {
            Simulator::ScheduleNow(&AboveRlc::Fill, this);
            return;
        }
        for (std::uint32_t i = 0; i < m_cell->NumUes(); ++i) {
            Simulator::Schedule(MilliSeconds(1 + i * 997 / m_cell->NumUes()), &AboveRlc::Ping, this, i);
        }
    }
    ~AboveRlc() { m_cell->Dispose(); }
    AboveRlc(const AboveRlc&) = delete;
    AboveRlc& operator=(const AboveRlc&) = delete;

    std::uint64_t Bytes() const { return m_bytes; }

  private:
    void Fill() {
        for (std::uint32_t i = 0; i < m_cell->NumUes(); ++i) {
            while (m_cell->DownBearer(i).BacklogBytes() < full_bytes &&
                   m_cell->SendDown(i, Create<Packet>(packet_bytes))) {
            }
        }
        Simulator::Schedule(MilliSeconds(1), &AboveRlc::Fill, this);
    }
    void Ping(std::uint32_t ue) {
        m_cell->SendDown(ue, Create<Packet>(100));
        Simulator::Schedule(Seconds(1), &AboveRlc::Ping, this, ue);
    }

    Ptr<edgelam::nr::Cell> m_cell;
    std::uint64_t m_bytes = 0;
};

/// Datagrams from a server at the site, as many as keep the bearers full.
class OverIp {
  public:
    /// \param joined packets that are simulated as one
    OverIp(const Street& street, std::uint32_t joined) : m_joined(joined) {
        edgelam::Options options("radio", "a cell");
        m_nr.AddOptions(options);
        const std::string join = "--joined=" + std::to_string(joined);
        const std::array line{"radio", join.c_str()};
        options.Parse(static_cast<int>(line.size()), line.data());
        m_nr.AssignStreams(1);
        m_nr.InstallGnb(street.gnb, street.channel);
        for (const auto& ue : street.ues) {
            m_nr.InstallUe(ue);
            m_sockets.push_back(MakeSocket(ue));
        }
        m_server = MakeSocket(m_nr.AddServer(edgelam::NrHelper::Place::Site, 10e9, 100e-6));
        Simulator::ScheduleNow(&OverIp::Fill, this);
    }
    ~OverIp() { m_nr.GetCell()->Dispose(); }
    OverIp(const OverIp&) = delete;
    OverIp& operator=(const OverIp&) = delete;

    std::uint64_t Bytes() const { return m_bytes; }

  private:
    Ptr<Socket> MakeSocket(const Ptr<Node>& node) {
        auto socket = Socket::CreateSocket(node, UdpSocketFactory::GetTypeId());
        socket->Bind(InetSocketAddress(Ipv4Address::GetAny(), port));
        socket->SetRecvCallback(Callback<void, Ptr<Socket>>([this](Ptr<Socket> at) {
            while (const auto packet = at->Recv()) {
                m_bytes += packet->GetSize();
            }
        }));
        return socket;
    }
    void Fill() {
        for (std::uint32_t i = 0; i < m_sockets.size(); ++i) {
            const auto address = m_sockets[i]->GetNode()->GetObject<Ipv4>()->GetAddress(1, 0).GetLocal();
            const std::uint64_t waiting = m_nr.GetCell()->DownBearer(i).BacklogBytes();
            for (std::uint64_t bytes = waiting; bytes < full_bytes; bytes += m_joined * packet_bytes) {
                m_server->SendTo(Create<Packet>(m_joined * (packet_bytes - udp_headers)), 0,
                                 InetSocketAddress(address, port));
            }
        }
        Simulator::Schedule(MilliSeconds(1), &OverIp::Fill, this);
    }

    static constexpr std::uint16_t port = 9;
    static constexpr std::uint32_t udp_headers = 28; ///< IPv4 and UDP
    std::uint32_t m_joined;
    edgelam::NrHelper m_nr;
    Ptr<Socket> m_server;
    std::vector<Ptr<Socket>> m_sockets; ///< of the UEs
    std::uint64_t m_bytes = 0;
};

struct Result {
    double simulatedPerWall, goodputBps;
};

template<class Traffic>
Result Measure(Traffic& traffic, double simulatedS) {
    Simulator::Stop(Seconds(simulatedS));
    using namespace std::chrono;
    const auto begin = steady_clock::now();
    Simulator::Run();
    const double wall = duration<double>(steady_clock::now() - begin).count();
    Simulator::Destroy();
    return {simulatedS / wall, 8.0 * static_cast<double>(traffic.Bytes()) / simulatedS};
}

Result Run(const Case& which, double simulatedS) {
    RngSeedManager::SetSeed(1);
    RngSeedManager::SetRun(1);
    const Street street(which.numUe);
    if (which.load == Load::Ip || which.load == Load::LargeIp) {
        constexpr std::uint32_t largest = 6; // 9000 bytes
        OverIp traffic(street, which.load == Load::LargeIp ? largest : 1);
        return Measure(traffic, simulatedS);
    }
    AboveRlc traffic(street, which.load);
    return Measure(traffic, simulatedS);
}

int Usage() {
    std::fprintf(stderr, "usage: radio [simulated seconds of the loaded cases, 0.01 to 600 [case ...]]; cases:");
    for (const auto& each : cases) {
        std::fprintf(stderr, " %s", each.name);
    }
    std::fprintf(stderr, "\n");
    return 2;
}

} // namespace

int main(int argc, char* argv[]) {
    const double seconds = argc > 1 ? std::strtod(argv[1], nullptr) : 2;
    if (!(seconds >= 0.01 && seconds <= 600)) {
        return Usage();
    }
    std::vector<const Case*> chosen;
    for (int i = 2; i < argc; ++i) {
        const auto found = std::find_if(std::begin(cases), std::end(cases),
                                        [&](const Case& each) { return std::string_view(argv[i]) == each.name; });
        if (found == std::end(cases)) {
            return Usage();
        }
        chosen.push_back(found);
    }
    for (const auto& each : cases) {
        if (argc <= 2 && each.byDefault) {
            chosen.push_back(&each);
        }
    }
    std::printf("{\"cases\": [");
    const char* comma = "";
    for (const auto* each : chosen) {
        const Result result = Run(*each, seconds * each->duration);
        std::printf("%s{\"name\": \"%s\", \"simulated_per_wall\": %.3f, \"goodput_bps\": %.0f}", comma, each->name,
                    result.simulatedPerWall, result.goodputBps);
        std::fflush(stdout);
        comma = ", ";
    }
    std::printf("]}\n");
    return 0;
}
