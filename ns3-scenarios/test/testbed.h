// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A small network for the test suites: nodes in a star of point-to-point links, each with a transfer application.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "ns3/data-rate.h"
#include "ns3/error-model.h"
#include "ns3/internet-stack-helper.h"
#include "ns3/ipv4-address-helper.h"
#include "ns3/ipv4-static-routing-helper.h"
#include "ns3/node-container.h"
#include "ns3/point-to-point-helper.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/test.h"

#include "transfer-application.h"

namespace edgelam::test {

/// A test that is a function.
class Case : public ns3::TestCase {
  public:
    Case(const std::string& name, std::function<void(Case&)> body) : TestCase(name), m_body(std::move(body)) {}
    template<class A, class B>
    void Equal(const A& actual, const B& expected, const std::string& what) {
        NS_TEST_EXPECT_MSG_EQ(actual, expected, what);
    }
    void True(bool condition, const std::string& what) { NS_TEST_EXPECT_MSG_EQ(condition, true, what); }

  private:
    void DoRun() override { m_body(*this); }
    std::function<void(Case&)> m_body;
};

/// `numNodes` nodes around a router; links of `rateBps` and `delayMs` each.
class Testbed {
  public:
    explicit Testbed(std::uint32_t numNodes, double rateBps = 10e6, double delayMs = 1) {
        ns3::Ptr<ns3::Node> hub = ns3::CreateObject<ns3::Node>();
        ns3::NodeContainer leaves;
        leaves.Create(numNodes);
        ns3::InternetStackHelper stack;
        stack.SetIpv6StackInstall(false);
        stack.SetRoutingHelper(ns3::Ipv4StaticRoutingHelper());
        stack.Install(hub);
        stack.Install(leaves);
        ns3::Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.252");
        ns3::PointToPointHelper link;
        link.DisableFlowControl();
        link.SetDeviceAttribute("DataRate", ns3::DataRateValue(ns3::DataRate(static_cast<std::uint64_t>(rateBps))));
        link.SetChannelAttribute("Delay", ns3::TimeValue(ns3::MicroSeconds(static_cast<std::uint64_t>(delayMs * 1e3))));
        link.SetQueue("ns3::DropTailQueue", "MaxSize", ns3::StringValue("1000p"));
        for (std::uint32_t i = 0; i < numNodes; ++i) {
            const auto pair = link.Install(leaves.Get(i), hub);
            const auto interfaces = addresses.Assign(pair);
            addresses.NewNetwork();
            ns3::Ipv4StaticRoutingHelper()
                .GetStaticRouting(leaves.Get(i)->GetObject<ns3::Ipv4>())
                ->SetDefaultRoute(interfaces.GetAddress(1), 1);
            auto application = ns3::CreateObject<TransferApplication>();
            application->SetAttribute("Name", ns3::StringValue("node" + std::to_string(i)));
            application->SetAttribute("Address", ns3::Ipv4AddressValue(interfaces.GetAddress(0)));
            leaves.Get(i)->AddApplication(application);
            nodes.push_back(application);
            devices.push_back(pair.Get(0));
            hubDevices.push_back(pair.Get(1));
        }
    }
    ~Testbed() { ns3::Simulator::Destroy(); }

    /// Start a transfer at that time; `transfers` gets it.
    void SendAt(double seconds, std::uint32_t from, std::vector<std::uint32_t> to, TransferSpec spec) {
        ns3::Simulator::Schedule(ns3::Seconds(seconds), [this, from, to, spec] {
            std::vector<ns3::Ptr<TransferApplication>> receivers;
            for (const auto i : to) {
                receivers.push_back(nodes[i]);
            }
            transfers.push_back(nodes[from]->Send(
                spec, receivers, [this](Transfer& t, std::size_t) { delivered.push_back(t.spec.id); },
                [this](Transfer& t, std::size_t) { ended.push_back(t.spec.id); }));
        });
    }
    void Run(double seconds) {
        ns3::Simulator::Stop(ns3::Seconds(seconds));
        ns3::Simulator::Run();
    }

    std::vector<ns3::Ptr<TransferApplication>> nodes;
    std::vector<ns3::Ptr<ns3::NetDevice>> devices, hubDevices;
    std::vector<ns3::Ptr<Transfer>> transfers;   ///< in the order of their start
    std::vector<std::uint64_t> delivered, ended; ///< ids, in the order of the callbacks
};

inline const bridge::TransferRecord& Record(const Testbed& bed, std::size_t i, std::size_t share = 0) {
    return bed.transfers.at(i)->shares.at(share).record;
}

inline TransferSpec Tcp(std::uint64_t id, std::uint64_t bytes) {
    TransferSpec spec;
    spec.id = id;
    spec.size_bytes = bytes;
    return spec;
}

inline TransferSpec Udp(std::uint64_t id, std::uint64_t bytes, std::uint64_t rateBps) {
    TransferSpec spec = Tcp(id, bytes);
    spec.protocol = bridge::TransferProtocol::udp;
    spec.rate_bps = rateBps;
    return spec;
}

} // namespace edgelam::test
