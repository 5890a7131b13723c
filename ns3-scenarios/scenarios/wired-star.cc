// SPDX-License-Identifier: GPL-2.0-only
//
//   ue0 ---\                    /--- edge0
//   ue1 ----- hub (a router) ------- edge1
//   ...  ---/                    \--- ...
//
//   device links: rate, delay, loss      server links: edgeRate, edgeDelay
//
// Devices and edge servers around one router, over point-to-point links with drop-tail queues: the floor of what a
// network adds, and the test bed, because its completion times can be worked out by hand. UDP to several receivers is
// real IP multicast, replicated by the hub.
//
// Try:     wired-star --numUe=4 --rate=100Mbps --bytes=1e6
// Expect:  each upload in about 0.12 s. A datagram of 1400 bytes is 1430 on the link, 114.4 us at 100 Mb/s.

#include <map>
#include <memory>
#include <set>

#include "ns3/boolean.h"
#include "ns3/config.h"
#include "ns3/data-rate.h"
#include "ns3/error-model.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-address-helper.h"
#include "ns3/ipv4-list-routing-helper.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/ipv4.h"
#include "ns3/node-container.h"
#include "ns3/uinteger.h"

#include "scenario.h"
#include "wired-device.h"
#include "wired-servers.h"

using namespace ns3;

namespace {

/// One link, as participants see it.
struct LinkState {
    double rate_bps;
    double loss;                   ///< probability that a packet is lost, each direction
    std::uint32_t up_packets;      ///< waiting at the node
    std::uint32_t down_packets;    ///< waiting at the hub
    std::uint64_t dropped_packets; ///< at both queues, so far
};
EDGELAM_MESSAGE(LinkState, rate_bps, loss, up_packets, down_packets, dropped_packets)

struct Link {
    Ptr<edgelam::WiredDevice> node, hub;
    Ptr<RateErrorModel> atNode, atHub; ///< receiving sides
    double rateBps, loss;
};

constexpr std::uint32_t packet_bytes = 1452; ///< of a TCP segment of 1400 bytes

class WiredStar {
  public:
    explicit WiredStar(edgelam::Scenario& scenario) : m_scenario(scenario) {
        auto& options = scenario.options();
        options.Section("Topology");
        options.Integer("numUe", m_numUe, "devices ue0, ue1, ...", 1, 10000);
        options.Integer("numEdge", m_numEdge, "edge servers edge0, edge1, ...", 1, 1000);
        options.Rate("rate", m_rate, "rate of each device's link, each way", 1e3, 1e12);
        options.Time("delay", m_delay, "propagation delay of each device's link", 0, 10);
        options.Real("loss", m_loss, "", "probability that a packet is lost on a device's link, each way", 0, 0.99);
        options.Rate("edgeRate", m_edgeRate, "rate of each server's link, each way", 1e3, 1e12);
        options.Time("edgeDelay", m_edgeDelay, "propagation delay of each server's link", 0, 10);
        options.Integer("queue", m_queue, "size of the drop-tail queue at each end of each link, packets", 1,
                        1'000'000);
        options.Integer("joined", m_joined,
                        "packets of one transfer that are simulated as one: cheaper, and less exact. 2, 5 and 10 keep "
                        "TCP's initial window",
                        1, 43);
        options.Flag("pacing", m_pacing,
                     "TCP spreads its segments over a round trip (EnablePacing of ns3::TcpSocketState)");
        edgelam::SetsWires(options, "rate", "delay");
    }

    void Build() {
        if (m_pacing) {
            PaceTcp();
        }
        m_hub = CreateObject<Node>();
        NodeContainer leaves;
        leaves.Create(m_numUe + m_numEdge);
        InternetStackHelper stack;
        stack.SetIpv6StackInstall(false);
        stack.SetRoutingHelper(Ipv4StaticRoutingHelper());
        stack.Install(m_hub);
        Ipv4ListRoutingHelper list; // static routing alone does not hand multicast up at its destination
        list.Add(Ipv4StaticRoutingHelper(), 0);
        stack.SetRoutingHelper(list);
        stack.Install(leaves);
        Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.252");
        for (std::uint32_t i = 0; i < leaves.GetN(); ++i) {
            const bool ue = i < m_numUe;
            Connect(leaves.Get(i), addresses, ue ? m_rate : m_edgeRate, ue ? m_delay : m_edgeDelay, ue ? m_loss : 0);
            const std::string name = ue ? "ue" + std::to_string(i) : "edge" + std::to_string(i - m_numUe);
            auto& application = m_scenario.Expose(leaves.Get(i), name, ue ? "ue" : "edge");
            // Room for the 30 bytes of headers on 1400, and for what flows beside it.
            application.Suggest("UdpRate", DataRateValue(DataRate(0.9 * std::min(m_rate, m_edgeRate))));
            application.Suggest("Joined", UintegerValue(m_joined));
            application.Suggest("SndBufSize", UintegerValue(SendBuffer(ue)));
            application.SetGroupFunction(
                [this](const auto& source, const auto& receivers) { return Group(source, receivers); });
        }
        Publish();
    }

  private:
    /// All transfers by TCP are paced, also those that do not ask for it.
    static void PaceTcp() {
        Config::SetDefault("ns3::TcpSocketState::EnablePacing", BooleanValue(true));
        Config::SetDefault("ns3::TcpSocketState::PacingSsRatio",
                           UintegerValue(edgelam::TransferApplication::pacing_while_a_window_grows));
    }

    void Connect(Ptr<Node> leaf, Ipv4AddressHelper& addresses, double rateBps, double delayS, double loss) {
        const NetDeviceContainer devices =
            edgelam::Connect(leaf, m_hub, {rateBps, delayS, m_queue, 0, m_joined, packet_bytes});
        const auto interfaces = addresses.Assign(devices);
        addresses.NewNetwork();
        const auto ipv4 = leaf->GetObject<Ipv4>();
        Ipv4StaticRoutingHelper().GetStaticRouting(ipv4)->SetDefaultRoute(interfaces.GetAddress(1), 1);

        Link link{DynamicCast<edgelam::WiredDevice>(devices.Get(0)),
                  DynamicCast<edgelam::WiredDevice>(devices.Get(1)),
                  nullptr,
                  nullptr,
                  rateBps,
                  loss};
        if (leaf->GetId() <= m_numUe) {
            for (auto [device, model] : {std::pair{link.node, &link.atNode}, std::pair{link.hub, &link.atHub}}) {
                *model = CreateObject<RateErrorModel>();
                (*model)->SetUnit(RateErrorModel::ERROR_UNIT_PACKET);
                m_stream += (*model)->AssignStreams(m_stream);
            }
            SetLoss(link, loss);
        }
        m_links.push_back(link);
    }

    /// TCP send buffer of a node, bytes: what fills its fastest path, half as much again if the queue has room for it,
    /// and what waits unsent. A flow that is alone then fills its link and loses nothing.
    std::uint32_t SendBuffer(bool ue) const {
        double ueRate = m_rate;
        for (std::uint32_t i = 0; i < std::min<std::size_t>(m_numUe, m_links.size()); ++i) {
            ueRate = std::max(ueRate, m_links[i].rateBps);
        }
        const double ueBits = ueRate * std::max(2 * (m_delay + m_edgeDelay), ue ? 4 * m_delay : 0);
        const double edgeBits = ue || m_numEdge == 1 ? 0 : m_edgeRate * 4 * m_edgeDelay;
        const double path = std::max(ueBits, edgeBits) / 8, queue = 1400.0 * m_queue;
        const double bytes = std::max(path, std::min(1.5 * path, queue)) + (128 << 10);
        return static_cast<std::uint32_t>(std::min(bytes, 64.0 * (1 << 20)));
    }

    static void SetLoss(Link& link, double loss) {
        link.loss = loss;
        for (auto [device, model] : {std::pair{link.node, link.atNode}, std::pair{link.hub, link.atHub}}) {
            model->SetRate(loss);
            device->SetReceiveErrorModel(loss > 0 ? model
                                                  : nullptr); // a device without a model asks nothing per packet
        }
    }

    /// A group for exactly these receivers, with its route in the hub; the same one again for the same set.
    std::shared_ptr<const Ipv4Address> Group(const edgelam::TransferApplication& source,
                                             const std::vector<Ptr<edgelam::TransferApplication>>& receivers) {
        std::set<std::uint32_t>
            members; // interfaces of the hub: leaf i is behind interface i + 1, which is its node id
        for (const auto& receiver : receivers) {
            members.insert(receiver->GetNode()->GetId());
        }
        const std::uint32_t from = source.GetNode()->GetId();
        const auto [entry, added] =
            m_groups.try_emplace({from, members}, Ipv4Address("239.0.0.0").Get() + m_groups.size() + 1);
        const Ipv4Address group(entry->second);
        if (added) {
            const auto routing = Ipv4StaticRoutingHelper().GetStaticRouting(m_hub->GetObject<Ipv4>());
            routing->AddMulticastRoute(source.GetAddress(), group, from, {members.begin(), members.end()});
        }
        return std::make_shared<const Ipv4Address>(group);
    }

    void Publish() {
        auto& registry = m_scenario.registry();
        registry.Publish<std::vector<LinkState>>(
            "link_state", "",
            "of every link: rate_bps, loss, waiting packets each way, dropped packets so far; devices first",
            [this] {
                std::vector<LinkState> states;
                for (const auto& link : m_links) {
                    states.push_back({link.rateBps, link.loss, link.node->NumWaiting(), link.hub->NumWaiting(),
                                      link.node->NumDropped() + link.hub->NumDropped()});
                }
                return states;
            },
            {{"link", static_cast<std::int64_t>(m_links.size())}});
        registry.Publish<std::vector<std::uint32_t>>("queue_bytes", "byte",
                                                     "bytes that wait at the hub for each node, devices first",
                                                     [this] {
                                                         std::vector<std::uint32_t> bytes;
                                                         for (const auto& link : m_links) {
                                                             bytes.push_back(link.hub->WaitingBytes());
                                                         }
                                                         return bytes;
                                                     },
                                                     {{"link", static_cast<std::int64_t>(m_links.size())}});
        registry.Control<std::vector<double>>("link_rate_bps", "bit/s",
                                              "rate of each device's link, each way; 1e3 to 1e12",
                                              [this](const std::vector<double>& rates) -> std::string {
                                                  for (std::size_t i = 0; i < rates.size(); ++i) {
                                                      if (!(rates[i] >= 1e3 && rates[i] <= 1e12)) {
                                                          return "rate " + std::to_string(rates[i]) + " bit/s of ue" +
                                                                 std::to_string(i) + "; legal are 1e3 to 1e12 bit/s";
                                                      }
                                                  }
                                                  for (std::size_t i = 0; i < rates.size(); ++i) {
                                                      m_links[i].rateBps = rates[i];
                                                      const DataRate rate(static_cast<std::uint64_t>(rates[i]));
                                                      m_links[i].node->SetDataRate(rate);
                                                      m_links[i].hub->SetDataRate(rate);
                                                  }
                                                  return {};
                                              },
                                              {{"ue", m_numUe}});
        registry.Control<double>("link_loss", "", "probability that a packet is lost on a device's link; 0 to 0.99",
                                 [this](double loss) -> std::string {
                                     if (!(loss >= 0 && loss <= 0.99)) {
                                         return "loss " + std::to_string(loss) + "; legal are 0 to 0.99";
                                     }
                                     for (std::uint32_t i = 0; i < m_numUe; ++i) {
                                         SetLoss(m_links[i], loss);
                                     }
                                     return {};
                                 });
    }

    edgelam::Scenario& m_scenario;
    std::uint32_t m_numUe = 4, m_numEdge = 1, m_queue = 1000, m_joined = 1;
    bool m_pacing = false;
    double m_rate = 100e6, m_delay = 5e-3, m_loss = 0, m_edgeRate = 1e9, m_edgeDelay = 1e-3;
    Ptr<Node> m_hub;
    std::vector<Link> m_links; ///< devices, then servers
    std::map<std::pair<std::uint32_t, std::set<std::uint32_t>>, std::uint32_t> m_groups;
    std::int64_t m_stream = 1;
};

} // namespace

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("wired-star", "devices and edge servers around one router, over point-to-point links");
    WiredStar star(scenario);
    return scenario.Main(argc, argv, [&] { star.Build(); });
}
