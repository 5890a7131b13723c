// SPDX-License-Identifier: GPL-2.0-only
//
// A scenario as people have it who come from ns-3: a monitor, an animation, a queue disc, settings made with Config,
// applications of their own, and something that must happen before participants begin.
#include <edgelam/participant-time.h>
#include <edgelam/scenario.h>

#include <iostream>

#include "ns3/animation-interface.h"
#include "ns3/config.h"
#include "ns3/flow-monitor-helper.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-address-helper.h"
#include "ns3/mobility-helper.h"
#include "ns3/packet-sink-helper.h"
#include "ns3/point-to-point-helper.h"
#include "ns3/string.h"
#include "ns3/traffic-control-helper.h"

using namespace ns3;

/// Says when it goes.
struct Farewell {
    explicit Farewell(std::string text) : text(std::move(text)) {}
    Farewell(const Farewell&) = delete;
    ~Farewell() { std::cout << "farewell of the " << text << std::endl; }
    std::string text;
};

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("own-helpers", "two nodes on a wire, with helpers of ns-3's around them");
    std::string keep = "all", sink = "none", where = "any", congestion = "ns3::TcpCubic";
    double warmUp = 0, stop = 0;
    bool early = false;
    auto& options = scenario.options();
    options.Choice("keep", keep, "which helpers outlive the build function", {"all", "none"});
    options.Choice("sink", sink, "an application at port 5001 of edge0", {"none", "tcp", "udp"});
    options.Choice("where", where, "the address it listens at", {"any", "own"});
    options.Flag("early", early, "it is there before edge0 is exposed");
    options.Text("congestion", congestion, "control of TCP");
    options.Real("warmUp", warmUp, "s", "before participants begin", -1, 10);
    options.Real("stop", stop, "s", "when the scenario calls Simulator::Stop", 0, 10);
    bool happened = false;
    return scenario.Main(argc, argv, [&] {
        Config::SetDefault("ns3::TcpL4Protocol::SocketType", StringValue(congestion));
        Config::SetDefault("ns3::TcpSocketBase::UseEcn", StringValue("On"));
        NodeContainer nodes(2);
        MobilityHelper mobility;
        mobility.Install(nodes);
        InternetStackHelper().Install(nodes);
        PointToPointHelper wire;
        wire.SetDeviceAttribute("DataRate", StringValue("10Mbps"));
        wire.SetChannelAttribute("Delay", StringValue("2ms"));
        wire.SetQueue("ns3::DropTailQueue", "MaxSize", StringValue("2p"));
        const auto devices = wire.Install(nodes);
        TrafficControlHelper red;
        red.SetRootQueueDisc("ns3::RedQueueDisc", "MinTh", DoubleValue(5), "MaxTh", DoubleValue(15), "LinkBandwidth",
                             StringValue("10Mbps"), "LinkDelay", StringValue("2ms"), "UseEcn", BooleanValue(true));
        const auto discs = red.Install(devices.Get(0));
        const auto interfaces = Ipv4AddressHelper("10.0.0.0", "255.255.255.0").Assign(devices);

        const auto listen = [&] {
            if (sink != "none") {
                const auto address = where == "any" ? Ipv4Address::GetAny() : interfaces.GetAddress(1);
                PacketSinkHelper helper(sink == "tcp" ? "ns3::TcpSocketFactory" : "ns3::UdpSocketFactory",
                                        InetSocketAddress(address, 5001));
                helper.Install(nodes.Get(1));
            }
        };
        if (early) {
            listen();
        }
        scenario.Expose(nodes.Get(0), "ue0", "ue");
        scenario.Expose(nodes.Get(1), "edge0", "edge");
        if (!early) {
            listen();
        }
        scenario.WarmUp(warmUp);
        if (stop > 0) {
            Simulator::Schedule(Seconds(stop), [] { Simulator::Stop(); });
        }
        Simulator::Schedule(Seconds(0.25), [&] { happened = true; });

        FlowMonitorHelper local;
        FlowMonitorHelper& flows = keep == "all" ? scenario.Keep<FlowMonitorHelper>() : local;
        const auto monitor = flows.InstallAll();
        if (keep == "all") {
            scenario.Keep<AnimationInterface>("animation.xml");
            scenario.Keep<Farewell>("first");
            scenario.Keep<Farewell>("second");
            scenario.Keep(std::make_unique<Farewell>("one that was moved in"));
            scenario.Keep(CreateObject<ListPositionAllocator>())->Add(Vector(1, 2, 3));
        }
        Simulator::ScheduleDestroy([monitor] {
            std::cout << "the end of the simulation" << std::endl;
            monitor->SerializeToXmlFile("flows.xml", false, false);
        });

        auto& registry = scenario.registry();
        registry.Publish<bool>("happened", "", "what is due 0.25 s after ns-3's beginning", [&] { return happened; });
        registry.Publish<double>("simulator_s", "s", "ns-3's time", [] { return Simulator::Now().GetSeconds(); });
        registry.Publish<std::int64_t>("now_ns", "ns", "participants' time", [] { return edgelam::NowNs(); });
        registry.Publish<std::uint64_t>("marked", "packet", "by the queue disc",
                                        [disc = discs.Get(0)] { return disc->GetStats().nTotalMarkedPackets; });
        registry.Publish<double>("broken", "", "throws a number", []() -> double { throw 7; });
        registry.PublishTrace<double>(
            "trace_broken", "throws when it is to begin", [] { return std::vector<double>{}; }, [](bool) { throw 7; });
        registry.Control<double>("broken", "", "throws a text", [](double) -> std::string { throw "of C's"; });
    });
}
