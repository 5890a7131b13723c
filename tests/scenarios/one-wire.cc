// SPDX-License-Identifier: GPL-2.0-only
//
// Two nodes and one wire: the smallest scenario, in one file outside edgelam. docs/writing-a-scenario.md says how it
// is compiled.
#include <edgelam/scenario.h>

#include "ns3/abort.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-address-helper.h"
#include "ns3/point-to-point-helper.h"
#include "ns3/point-to-point-net-device.h"
#include "ns3/queue.h"

/// The wire, as participants see it.
struct Wire {
    double rate_bps;
    std::uint32_t waiting_packets;
};
EDGELAM_MESSAGE(Wire, rate_bps, waiting_packets)

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("one-wire", "a device and a server on one wire, and a server nobody reaches");
    double rate = 10e6;
    scenario.options().Rate("rate", rate, "of the wire, each way", 1e3, 1e12);
    return scenario.Main(argc, argv, [&] {
        ns3::NodeContainer nodes(4);
        ns3::InternetStackHelper().Install(nodes);
        ns3::PointToPointHelper wire;
        wire.SetDeviceAttribute("DataRate", ns3::DataRateValue(ns3::DataRate(static_cast<std::uint64_t>(rate))));
        wire.SetChannelAttribute("Delay", ns3::TimeValue(ns3::MilliSeconds(1)));
        const auto devices = wire.Install(nodes.Get(0), nodes.Get(1));
        ns3::Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
        addresses.Assign(devices);
        addresses.NewNetwork();
        addresses.Assign(wire.Install(nodes.Get(2), nodes.Get(3)));
        scenario.Expose(nodes.Get(0), "ue0", "ue");
        scenario.Expose(nodes.Get(1), "edge0", "edge");
        scenario.Expose(nodes.Get(2), "island0", "edge");

        const auto sender = ns3::DynamicCast<ns3::PointToPointNetDevice>(devices.Get(0));
        scenario.registry().Publish<Wire>("wire", "", "rate, and packets waiting at ue0",
                                          [=] { return Wire{rate, sender->GetQueue()->GetNPackets()}; });
        scenario.registry().Control<double>(
            "abort", "s", "abort as ns-3 does on a failed assertion, so much later; above 0", [](double delay) {
                if (!(delay > 0)) {
                    return "delay " + std::to_string(delay) + " s; legal are values above 0";
                }
                ns3::Simulator::Schedule(ns3::Seconds(delay), [] { NS_ABORT_MSG("aborted on request"); });
                return std::string();
            });
    });
}
