// SPDX-License-Identifier: GPL-2.0-only
//
//   source ----100 Mb/s---- router ----5 Mb/s, 50 packets queue---- sink
//
// A source sends UDP packets of 1000 bytes at the rate that the agent chooses anew every 100 ms. Started by
// bottleneck.py.
#include "bottleneck.h"

#include "ns3/ai-module.h"
#include "ns3/applications-module.h"
#include "ns3/core-module.h"
#include "ns3/internet-module.h"
#include "ns3/network-module.h"
#include "ns3/point-to-point-module.h"
#include "ns3/traffic-control-module.h"

using namespace ns3;

NS_LOG_COMPONENT_DEFINE("Bottleneck");

namespace {

constexpr uint32_t packet_bytes = 1000;

class Environment {
  public:
    Environment(Ptr<Node> source, Ptr<Node> sink, Ipv4Address to, Ptr<Queue<Packet>> queue, Time step)
        : m_queue(queue), m_step(step) {
        auto interface = Ns3AiMsgInterface::Get();
        interface->SetIsMemoryCreator(false);
        interface->SetUseVector(false);
        interface->SetHandleFinish(true);

        m_to = InetSocketAddress(to, 9);
        m_sender = Socket::CreateSocket(source, UdpSocketFactory::GetTypeId());
        m_receiver = Socket::CreateSocket(sink, UdpSocketFactory::GetTypeId());
        m_receiver->Bind(InetSocketAddress(Ipv4Address::GetAny(), 9));
        m_receiver->SetRecvCallback(MakeCallback(&Environment::Receive, this));
        queue->TraceConnectWithoutContext("Drop", MakeCallback(&Environment::Dropped, this));
        Simulator::Schedule(m_step, &Environment::Step, this);
        Simulator::ScheduleNow(&Environment::Send, this);
    }

  private:
    void Send() {
        SeqTsHeader header;
        auto packet = Create<Packet>(packet_bytes - header.GetSerializedSize());
        packet->AddHeader(header);
        m_sender->SendTo(packet, 0, m_to);
        Simulator::Schedule(Seconds(packet_bytes * 8 / m_rate_bps), &Environment::Send, this);
    }

    void Receive(Ptr<Socket> socket) {
        while (Ptr<Packet> packet = socket->Recv()) {
            SeqTsHeader header;
            packet->RemoveHeader(header);
            m_arrived += 1;
            m_delay += Simulator::Now() - header.GetTs();
        }
    }

    void Dropped(Ptr<const Packet>) { m_lost += 1; }

    void Step() {
        Ns3AiMsgInterfaceImpl<Observation, Action>* message =
            Ns3AiMsgInterface::Get()->GetInterface<Observation, Action>();
        message->CppSendBegin();
        Observation* observation = message->GetCpp2PyStruct();
        observation->time_s = Simulator::Now().GetSeconds();
        observation->goodput_bps = m_arrived * packet_bytes * 8 / m_step.GetSeconds();
        observation->mean_delay_s = m_arrived == 0 ? 0 : m_delay.GetSeconds() / m_arrived;
        observation->lost_packets = m_lost;
        observation->queued_packets = m_queue->GetNPackets();
        message->CppSendEnd();

        message->CppRecvBegin();
        m_rate_bps = message->GetPy2CppStruct()->rate_bps;
        message->CppRecvEnd();
        NS_LOG_INFO(Simulator::Now().As(Time::S) << " rate " << m_rate_bps);

        m_arrived = m_lost = 0;
        m_delay = Time(0);
        Simulator::Schedule(m_step, &Environment::Step, this);
    }

    Ptr<Queue<Packet>> m_queue;
    Time m_step;
    Address m_to;
    Ptr<Socket> m_sender, m_receiver;
    double m_rate_bps = 1e6;
    uint32_t m_arrived = 0, m_lost = 0;
    Time m_delay;
};

} // namespace

int main(int argc, char* argv[]) {
    double duration_s = 20;
    std::string rate = "5Mbps";
    CommandLine command;
    command.AddValue("duration", "simulated seconds", duration_s);
    command.AddValue("rate", "of the bottleneck", rate);
    command.Parse(argc, argv);

    NodeContainer nodes(3);
    PointToPointHelper access;
    access.SetDeviceAttribute("DataRate", StringValue("100Mbps"));
    PointToPointHelper bottleneck;
    bottleneck.SetDeviceAttribute("DataRate", StringValue(rate));
    bottleneck.SetChannelAttribute("Delay", StringValue("10ms"));
    bottleneck.SetQueue("ns3::DropTailQueue<Packet>", "MaxSize", StringValue("50p"));
    const NetDeviceContainer first = access.Install(nodes.Get(0), nodes.Get(1));
    const NetDeviceContainer second = bottleneck.Install(nodes.Get(1), nodes.Get(2));

    InternetStackHelper stack;
    stack.SetIpv6StackInstall(false);
    stack.Install(nodes);
    Ipv4AddressHelper addresses("10.0.0.0", "255.255.255.0");
    addresses.Assign(first);
    addresses.NewNetwork();
    const Ipv4InterfaceContainer interfaces = addresses.Assign(second);
    TrafficControlHelper().Uninstall(second); // its queue is the device's
    Ipv4GlobalRoutingHelper::PopulateRoutingTables();

    Ptr<Queue<Packet>> queue = DynamicCast<PointToPointNetDevice>(second.Get(0))->GetQueue();
    Environment environment(nodes.Get(0), nodes.Get(2), interfaces.GetAddress(1), queue, MilliSeconds(100));
    Simulator::Stop(Seconds(duration_s));
    Simulator::Run();
    Simulator::Destroy();
}
