# SPDX-License-Identifier: GPL-2.0-only
"""A scenario in Python: a device and a server on one link, and every packet on it as pcap files, `link-*.pcap`."""

import sys

from edgelam.scenarios.python import Scenario, include, ns3

include("ns3/internet-stack-helper.h", "ns3/ipv4-address-helper.h", "ns3/point-to-point-helper.h")

scenario = Scenario("wire-pcap", "a device and a server on one link, with pcap files")


def build():
    """Called once the options are read."""
    nodes = ns3.NodeContainer(2)
    ns3.InternetStackHelper().Install(nodes)
    link = ns3.PointToPointHelper()
    link.SetDeviceAttribute("DataRate", ns3.DataRateValue(ns3.DataRate(10_000_000)))
    ns3.Ipv4AddressHelper("10.0.0.0", "255.255.255.0").Assign(link.Install(nodes))
    link.EnablePcapAll("link")
    scenario.Expose(nodes.Get(0), "ue0", "ue")
    scenario.Expose(nodes.Get(1), "edge0", "edge")


sys.exit(scenario.Main(sys.argv, build))
