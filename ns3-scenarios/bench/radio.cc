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
//
// Networks of several cells have full downlink buffers above RLC; UEs are dropped over the area of the cells, at least
// 10 m from their gNBs, walk at 3 km/h, and are attached to the strongest cell. 3gnb: one site with three such arrays,
// 120 degrees apart; UEs up to 200 m away. 21cell and 57cell: 7 and 19 sites of three sectors, 200 m apart, with
// wrap-around; 32 ports (8, 8, 2; 2, 8), 20 MHz (51 resource blocks) or 100 MHz; 8 interferers are heard with their
// direction.
//
// A name followed by /N is measured with N threads for the work on channels: 1gnb-100ue/2.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/resource.h>

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
#include "ns3/uinteger.h"

#include "named-random.h"
#include "nr-cell.h"
#include "nr-helper.h"
#include "nr-network.h"
#include "options.h"
#include "planar-array.h"
#include "site-layout.h"

using namespace ns3;

namespace {

constexpr std::uint32_t packet_bytes = 1500;
constexpr std::uint64_t full_bytes = 500'000; ///< of a full bearer: twice what the cell carries in a millisecond

enum class Load : std::uint8_t { Full, Idle, Ip, LargeIp, Cells };

struct Case {
    const char* name;
    std::uint32_t numUe;
    Load load;
    double duration; ///< in units of the first argument
    bool byDefault;
    unsigned rings = 0; ///< of sites, of several cells
    double bandwidthHz = 100e6;
};

constexpr Case cases[] = {{"1gnb-2ue", 2, Load::Full, 1, true},
                          {"1gnb-10ue", 10, Load::Full, 1, true},
                          {"1gnb-100ue-idle", 100, Load::Idle, 10, true},
                          {"1gnb-2ue-ip", 2, Load::Ip, 1, true},
                          {"1gnb-10ue-ip", 10, Load::Ip, 1, true},
                          {"1gnb-10ue-ip-large", 10, Load::LargeIp, 1, true},
                          {"1gnb-30ue", 30, Load::Full, 1, false},
                          {"1gnb-100ue", 100, Load::Full, 1, false},
                          {"1gnb-300ue", 300, Load::Full, 1, false},
                          {"3gnb-30ue", 30, Load::Cells, 0.5, false},
                          {"21cell-210ue", 210, Load::Cells, 0.1, false, 1, 20e6},
                          {"21cell-210ue-100mhz", 210, Load::Cells, 0.05, false, 1, 100e6},
                          {"57cell-570ue", 570, Load::Cells, 0.05, false, 2, 20e6}};

Ptr<edgelam::RadioChannel> MakeChannel() {
    auto channel = CreateObject<edgelam::RadioChannel>();
    channel->SetAttribute("Deployment", StringValue("UMi"));
    channel->SetAttribute("Frequency", DoubleValue(3.5e9));
    channel->SetAttribute("CoherenceDistance", DoubleValue(0.03));
    channel->AssignStreams(1);
    return channel;
}

Ptr<Node> MakeSite(const Vector& place) {
    auto node = CreateObject<Node>();
    auto mobility = CreateObject<ConstantPositionMobilityModel>();
    node->AggregateObject(mobility);
    mobility->SetPosition(place);
    return node;
}

Ptr<Node> MakeWalker(const Vector& place, edgelam::NamedRandom& random) {
    auto node = CreateObject<Node>();
    auto mobility = CreateObject<ConstantVelocityMobilityModel>();
    node->AggregateObject(mobility);
    mobility->SetPosition(place);
    const double heading = 6.283 * random.Uniform();
    mobility->SetVelocity({std::cos(heading) / 1.2, std::sin(heading) / 1.2, 0});
    return node;
}

Ptr<PhasedArrayModel> MakeUeArray() {
    return edgelam::MakePlanarArray(1, 2, true, edgelam::ElementPattern::Isotropic);
}

/// The gNB, the UEs and the channel between them.
struct Street {
    Ptr<edgelam::RadioChannel> channel = MakeChannel();
    Ptr<Node> gnb = MakeSite({0, 0, 10});
    std::vector<Ptr<Node>> ues;

    explicit Street(std::uint32_t numUe) {
        edgelam::NamedRandom random(1, {numUe});
        for (std::uint32_t i = 0; i < numUe; ++i) {
            const double distance = 20 + 130 * random.Uniform(), azimuth = 2 * (random.Uniform() - 0.5);
            ues.push_back(MakeWalker({distance * std::cos(azimuth), distance * std::sin(azimuth), 1.5}, random));
        }
    }
};

/// Packets straight into the bearers.
class AboveRlc {
  public:
    AboveRlc(const Street& street, Load load, unsigned threads) : m_cell(CreateObject<edgelam::nr::Cell>()) {
        m_cell->AssignStreams(2);
        m_cell->SetAttribute("Threads", UintegerValue(threads));
        m_cell->SetGnb(street.channel, street.gnb->GetObject<MobilityModel>(),
                       edgelam::MakePlanarArray(8, 4, true, edgelam::ElementPattern::Sector));
        for (const auto& ue : street.ues) {
            m_cell->AddUe(ue->GetObject<MobilityModel>(), MakeUeArray());
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

/// Packets straight into the bearers of a network.
class ManyCells {
  public:
    ManyCells(const Case& which, unsigned threads) : m_network(CreateObject<edgelam::nr::Network>()) {
        const bool many = which.rings > 0;
        const auto layout = edgelam::SiteLayout::Hexagons(many ? 200 : 400, which.rings, 3, 10);
        if (many) {
            m_channel->SetWrapAround(layout.Images());
        }
        m_network->AssignStreams(2);
        for (const auto& at : layout.Cells()) {
            if (m_sites.size() <= at.site) {
                m_sites.push_back(MakeSite(at.place));
            }
            edgelam::ArrayLayout array{.bearingDeg = at.bearingDeg};
            if (many) {
                array.columns = array.portColumns = 8;
                array.portRows = 2;
            }
            auto cell = CreateObject<edgelam::nr::Cell>();
            cell->SetAttribute("Bandwidth", DoubleValue(which.bandwidthHz));
            cell->SetAttribute("Threads", UintegerValue(threads));
            cell->SetGnb(m_channel, m_sites[at.site]->GetObject<MobilityModel>(), edgelam::MakeArray(array));
            m_network->AddCell(cell);
        }
        edgelam::NamedRandom random(1, {which.numUe});
        const auto cells = static_cast<std::uint32_t>(layout.Cells().size());
        for (std::uint32_t i = 0; i < which.numUe; ++i) {
            Vector place = layout.Drop(i % cells, 10, random);
            place.z = 1.5;
            m_ues.push_back(MakeWalker(place, random));
            m_network->AddUe(m_ues.back()->GetObject<MobilityModel>(), MakeUeArray());
        }
        m_network->SetDeliver([this](std::uint32_t, Ptr<Packet> packet) { m_bytes += packet->GetSize(); }, nullptr);
        for (std::uint32_t i = 0; i < which.numUe; ++i) {
            m_network->Attach(i, m_network->StrongestCell(i));
        }
        Simulator::ScheduleNow(&ManyCells::Fill, this);
    }
    ~ManyCells() { m_network->Dispose(); }
    ManyCells(const ManyCells&) = delete;
    ManyCells& operator=(const ManyCells&) = delete;

    std::uint64_t Bytes() const { return m_bytes; }

  private:
    void Fill() {
        for (std::uint32_t i = 0; i < m_network->NumUes(); ++i) {
            while (m_network->GetConnection(i).down.BacklogBytes() < full_bytes &&
                   m_network->SendDown(i, Create<Packet>(packet_bytes))) {
            }
        }
        Simulator::Schedule(MilliSeconds(1), &ManyCells::Fill, this);
    }

    Ptr<edgelam::RadioChannel> m_channel = MakeChannel();
    Ptr<edgelam::nr::Network> m_network;
    std::vector<Ptr<Node>> m_sites, m_ues;
    std::uint64_t m_bytes = 0;
};

struct Result {
    double startS, simulatedPerWall, goodputBps;
};

double Now() {
    using namespace std::chrono;
    return duration<double>(steady_clock::now().time_since_epoch()).count();
}

template<class Traffic>
Result Measure(Traffic& traffic, double simulatedS, double begunS) {
    Simulator::Stop(Seconds(simulatedS));
    const double startedS = Now();
    Simulator::Run();
    const double wallS = Now() - startedS;
    Simulator::Destroy();
    return {startedS - begunS, simulatedS / wallS, 8.0 * static_cast<double>(traffic.Bytes()) / simulatedS};
}

Result Run(const Case& which, unsigned threads, double simulatedS) {
    RngSeedManager::SetSeed(1);
    RngSeedManager::SetRun(1);
    const double begunS = Now();
    if (which.load == Load::Cells) {
        ManyCells traffic(which, threads);
        return Measure(traffic, simulatedS, begunS);
    }
    const Street street(which.numUe);
    if (which.load == Load::Ip || which.load == Load::LargeIp) {
        constexpr std::uint32_t largest = 6; // 9000 bytes
        OverIp traffic(street, which.load == Load::LargeIp ? largest : 1);
        return Measure(traffic, simulatedS, begunS);
    }
    AboveRlc traffic(street, which.load, threads);
    return Measure(traffic, simulatedS, begunS);
}

double PeakGiB() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / (1 << 20); // of KiB
}

/// A case and its number of threads.
struct Chosen {
    std::string name;
    const Case* which = nullptr;
    unsigned threads = 1;
};

std::optional<Chosen> Choose(const std::string& name) {
    Chosen chosen{name};
    const std::size_t slash = name.find('/');
    if (slash != std::string::npos) {
        const char* digits = name.c_str() + slash + 1;
        chosen.threads = static_cast<unsigned>(std::strtoul(digits, nullptr, 10));
        if (std::to_string(chosen.threads) != digits || chosen.threads < 1 || chosen.threads > 64) {
            return std::nullopt;
        }
    }
    for (const auto& each : cases) {
        chosen.which = name.substr(0, slash) == each.name ? &each : chosen.which;
    }
    return chosen.which ? std::optional(chosen) : std::nullopt;
}

int Usage() {
    std::fprintf(stderr,
                 "usage: radio [simulated seconds of the loaded cases, 0.01 to 600 [case[/threads] ...]]; cases:");
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
    std::vector<Chosen> chosen;
    for (int i = 2; i < argc; ++i) {
        const auto found = Choose(argv[i]);
        if (!found) {
            return Usage();
        }
        chosen.push_back(*found);
    }
    for (const auto& each : cases) {
        if (argc <= 2 && each.byDefault) {
            chosen.push_back({each.name, &each});
        }
    }
    std::printf("{\"cases\": [");
    const char* comma = "";
    for (const auto& each : chosen) {
        const Result result = Run(*each.which, each.threads, std::max(0.01, seconds * each.which->duration));
        std::printf("%s{\"name\": \"%s\", \"simulated_per_wall\": %.3f, \"goodput_bps\": %.0f, \"start_s\": %.2f, "
                    "\"peak_gib\": %.2f}",
                    comma, each.name.c_str(), result.simulatedPerWall, result.goodputBps, result.startS, PeakGiB());
        std::fflush(stdout);
        comma = ", ";
    }
    std::printf("]}\n");
    return 0;
}
