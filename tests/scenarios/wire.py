# SPDX-License-Identifier: GPL-2.0-only
"""A scenario in Python: two nodes on a wire, everything a scenario may declare, and mistakes of several kinds."""

import sys

from edgelam.scenarios.python import Scenario, Schedule, include, ns3

include("ns3/internet-stack-helper.h", "ns3/ipv4-address-helper.h", "ns3/csma-helper.h")  # csma: a library of its own
include("ns3/flow-monitor-helper.h", "ns3/packet-sink-helper.h")

scenario = Scenario("wire", "two nodes on a wire")
options = scenario.options()
rate = options.Rate("rate", 10e6, "of the wire", 1e3, 1e12)
mistake = options.Choice(
    "mistake",
    "none",
    "to make",
    ["none", "refuse", "raise", "expose", "die", "typo", "run", "stop", "destroy", "sink"],
)
count = options.Integer("count", 3, "any", 1, 5)
flag = options.Flag("flag", False, "any")
warm_up = options.Real("warmUp", 0, "s", "before participants begin", 0, 10)
ticks = []


def tick(step):
    """Every millisecond."""
    ticks.append(step)
    if mistake.value == "die" and len(ticks) > 2:
        raise RuntimeError("the third tick")
    Schedule(ns3.MilliSeconds(1), tick, step)


def set_ticks(number):
    """The control."""
    if number > 100:
        return f"{number} ticks; legal are up to 100"
    ticks[:] = [0] * int(number)
    return None


def build():
    """Called once the options are read."""
    if mistake.value == "refuse":
        scenario.Refuse(f"rate {rate.value:g}, count {count.value}, flag {flag.value}")
    if mistake.value == "raise":
        raise ValueError("raised in build")
    nodes = ns3.NodeContainer(2)
    ns3.InternetStackHelper().Install(nodes)
    wire = ns3.CsmaHelper()
    wire.SetChannelAttribute("DataRate", ns3.DataRateValue(ns3.DataRate(int(rate.value))))
    ns3.Ipv4AddressHelper("10.0.0.0", "255.255.255.0").Assign(wire.Install(nodes))
    scenario.Expose(nodes.Get(0), "ue0", "ue")
    if mistake.value == "typo":
        wire.SetDeviceAttribute("Thickness", ns3.DataRateValue(ns3.DataRate(5)))
        wire.Install(nodes)
    if mistake.value == "run":
        ns3.Simulator.Stop(ns3.Seconds(1))
        ns3.Simulator.Run()
    if mistake.value == "stop":
        ns3.Simulator.Stop(ns3.Seconds(1))
    if mistake.value == "destroy":
        ns3.Simulator.Destroy()
    if mistake.value == "expose":
        scenario.Expose(nodes.Get(1), "ue0", "ue")
    scenario.Expose(nodes.Get(1), "edge0", "edge")
    scenario.WarmUp(warm_up.value)
    if mistake.value == "sink":
        there = ns3.InetSocketAddress(ns3.Ipv4Address.GetAny(), 5001).ConvertTo()
        ns3.PacketSinkHelper("ns3::UdpSocketFactory", there).Install(nodes.Get(1))
    Schedule(ns3.MilliSeconds(1), tick, 1)
    monitor = scenario.Keep(ns3.FlowMonitorHelper()).InstallAll()
    registry = scenario.registry()
    registry.Publish("ticks", "", "how many", lambda: len(ticks), dtype="u4")
    registry.Publish("grid", "m", "two rows", lambda: [[1, 2, 3], [4, 5, 6]], [("ue", 2), ("xyz", 3)])
    state = [("tick", "i2"), ("place", "f8", (2,))]
    registry.Publish("state", "", "a struct", lambda: (len(ticks), (0.5, 1.5)), dtype=state)
    registry.Publish("flow_bytes", "byte", "received", lambda: sum(f.second.rxBytes for f in monitor.GetFlowStats()))
    registry.Publish("exits", "", "ends the process, if it may", lambda: sys.exit(5))
    registry.Publish("broken", "", "raises", lambda: 1 / 0)
    registry.Publish("misshapen", "", "not what was announced", lambda: [1, 2], [("item", 3)])
    registry.Control("ticks", "", "at most 100", set_ticks)
    registry.Control("row", "", "of any length", lambda row: f"got {row.tolist()}", [("item", -1)], dtype="i4")
    registry.PublishTrace(
        "trace_ticks", "each", lambda: [(step,) for step in ticks], lambda on: None, dtype=[("by", "i4")]
    )


sys.exit(scenario.Main(sys.argv, build))
