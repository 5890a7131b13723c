# SPDX-License-Identifier: GPL-2.0-only
"""wifi-campus: Wi-Fi on a campus, on ns-3's Python bindings; packet by packet what the scenario in C++ is.

   ue0 ~~~ )                            edgeDelay     /--- edge0, edge1, ...
   ue1 ~~~ ) ap0 ---\\  backhaul         -------------
   ...     )         gateway ----------
   ue9 ~~~ ) ap1 ---/                   cloudDelay    \\--- cloud0

802.11ax access points of one network in a row, all on one channel, so that they defer to one another; bridged by
Ethernet to a gateway, with edge servers and a cloud behind it. Stations scan, associate with the access point they hear
best, and look for another when they lose its beacons. Participants begin after the warm-up, when stations have
associated and know the gateway's address, and it theirs, as from DHCP. Change whatever you like.
"""

import math
import sys

from edgelam.scenarios.python import Scenario, Schedule, edgelam, include, ns3  # edgelam and ns3: the C++ namespaces

include("edgelam/ue-motion.h", "ns3/arp-cache.h", "ns3/boolean.h", "ns3/bridge-helper.h", "ns3/double.h")
include("ns3/constant-position-mobility-model.h", "ns3/internet-stack-helper.h", "ns3/ipv4-address-helper.h")
include("ns3/ipv4-interface.h", "ns3/ipv4-l3-protocol.h", "ns3/ipv4-static-routing-helper.h")
include("ns3/point-to-point-helper.h", "ns3/simple-net-device-helper.h", "ns3/ssid.h", "ns3/sta-wifi-mac.h")
include("ns3/string.h", "ns3/uinteger.h", "ns3/wifi-net-device.h", "ns3/yans-wifi-helper.h")

AP_HEIGHT_M, UE_HEIGHT_M = 3, 1.5
NOISE_FIGURE_DB = 7
FAST_BPS = 300e6  # what a station alone gets near its access point

scenario = Scenario("wifi-campus", "Wi-Fi stations, access points on an Ethernet, edge servers and a cloud")
options = scenario.options()
options.Section("Wi-Fi")
num_ue = options.Integer("numUe", 4, "stations ue0, ue1, ...", 1, 100)
num_ap = options.Integer("numAp", 2, "access points ap0, ap1, ..., in a row", 1, 20)
spacing = options.Real("spacing", 50, "m", "distance between neighbouring access points", 5, 500)
speed = options.Real(
    "speed", 1, "m/s", "speed of each station; the seed decides its direction; it turns round at the edge", 0,
    edgelam.UeMotion.fastest_mps,
)  # fmt: skip
bandwidth = options.Choice("bandwidth", "80", "bandwidth of the channel, MHz", ["20", "40", "80"])
ap_power = options.Real("apPower", 20, "dBm", "transmit power of an access point", 0, 30)
ue_power = options.Real("uePower", 15, "dBm", "transmit power of a station", 0, 30)
exponent = options.Real("pathLossExponent", 3, "", "exponent of the path loss over distance", 2, 5)
warm_up = options.Time("warmUp", 1, "length of the warm-up, in which stations associate", 0, 1000)
options.Section("Backhaul and servers")
num_edge = options.Integer("numEdge", 1, "edge servers edge0, ... behind the gateway", 0, 100)
backhaul_rate = options.Rate(
    "backhaulRate", 1e9, "rate of the Ethernet between an access point and the gateway", 1e6, 1e12
)
backhaul_delay = options.Time("backhaulDelay", 1e-4, "delay of this Ethernet, one way", 0, 1)
edge_delay = options.Time("edgeDelay", 1e-3, "delay of each edge server's link, one way", 0, 1)
edge_rate = options.Rate("edgeRate", 10e9, "rate of each edge server's link", 1e6, 1e12)
cloud_delay = options.Time("cloudDelay", 20e-3, "delay between gateway and cloud0, one way", 0, 1)
cloud_rate = options.Rate("cloudRate", 1e9, "rate of the cloud's link", 1e6, 1e12)

# What lives as long as the run stands here, outside the function that builds.
motion = edgelam.UeMotion()
area = edgelam.UeMotion.Area()
routing = ns3.Ipv4StaticRoutingHelper()


def inside(p):
    """Where stations may be."""
    s = spacing.value
    return -s / 2 <= p.x <= (num_ap.value - 0.5) * s and abs(p.y) <= s / 2


def rate_value(bps):
    """An attribute's value."""
    return ns3.DataRateValue(ns3.DataRate(int(bps)))


def delay_value(seconds):
    """An attribute's value."""
    return ns3.TimeValue(ns3.Seconds(seconds))


def container(kind, *items):
    """A container of ns-3's."""
    made = kind()
    for item in items:
        made.Add(item)
    return made


def make_places(aps, ues, stream):
    """Access points in a row; station i uniformly in the square around access point i mod numAp."""
    s = spacing.value
    for i in range(num_ap.value):
        mobility = ns3.CreateObject[ns3.ConstantPositionMobilityModel]()
        mobility.SetPosition(ns3.Vector3D(i * s, 0, AP_HEIGHT_M))
        aps.Get(i).AggregateObject(mobility)
    uniform = ns3.CreateObject[ns3.UniformRandomVariable]()
    uniform.SetStream(stream)
    for i in range(num_ue.value):
        x, y = uniform.GetValue(-0.5, 0.5), uniform.GetValue(-0.5, 0.5)
        heading = uniform.GetValue(0, 2 * math.pi)
        place = ns3.Vector3D((i % num_ap.value + x) * s, y * s, UE_HEIGHT_M)
        motion.Add(ues.Get(i), place, speed.value, heading)
    return stream + 1


def install_wifi(aps, ues, stream):
    """802.11ax; gives the devices of access points and stations, and the next stream of random numbers."""
    channel = ns3.YansWifiChannelHelper()
    channel.SetPropagationDelay("ns3::ConstantSpeedPropagationDelayModel")
    channel.AddPropagationLoss("ns3::LogDistancePropagationLossModel", "Exponent", ns3.DoubleValue(exponent.value))
    phy = ns3.YansWifiPhyHelper()
    phy.SetChannel(channel.Create())
    phy.Set("ChannelSettings", ns3.StringValue("{0, " + bandwidth.value + ", BAND_5GHZ, 0}"))
    phy.Set("RxNoiseFigure", ns3.DoubleValue(NOISE_FIGURE_DB))
    wifi = ns3.WifiHelper()
    wifi.SetStandard(ns3.WIFI_STANDARD_80211ax)
    wifi.SetRemoteStationManager("ns3::IdealWifiManager")
    mac = ns3.WifiMacHelper()
    ssid = ns3.SsidValue(ns3.Ssid("campus"))
    devices = []
    for kind, nodes, power, more in (
        ("ns3::ApWifiMac", aps, ap_power.value, ()),
        ("ns3::StaWifiMac", ues, ue_power.value, ("ActiveProbing", ns3.BooleanValue(False))),
    ):
        mac.SetType(kind, "Ssid", ssid, *more)
        phy.Set("TxPowerStart", ns3.DoubleValue(power))
        phy.Set("TxPowerEnd", ns3.DoubleValue(power))
        devices.append(wifi.Install(phy, mac, nodes))
    for each in devices:
        stream += ns3.WifiHelper.AssignStreams(each, stream)
    return *devices, stream


def install_lan(aps, ues, gateway, ap_devices, ue_devices):
    """One LAN: the air and the Ethernet of every access point are bridged, and all Ethernets at the gateway."""
    ethernet = ns3.SimpleNetDeviceHelper()  # both ways at once, which ns-3's CSMA cannot; frames without a header
    ethernet.SetQueue("ns3::DropTailQueue", "MaxSize", ns3.StringValue("5000p"))
    ethernet.SetDeviceAttribute("DataRate", rate_value(backhaul_rate.value))
    ethernet.SetChannelAttribute("Delay", delay_value(backhaul_delay.value))
    bridge = ns3.BridgeHelper()
    gateway_ports = ns3.NetDeviceContainer()
    for i in range(num_ap.value):
        ends = ethernet.Install(container(ns3.NodeContainer, aps.Get(i), gateway))
        bridge.Install(aps.Get(i), container(ns3.NetDeviceContainer, ap_devices.Get(i), ends.Get(0)))
        gateway_ports.Add(ends.Get(1))
    lan = bridge.Install(gateway, gateway_ports)
    lan.Add(ue_devices)
    interfaces = ns3.Ipv4AddressHelper("10.1.0.0", "255.255.0.0").Assign(lan)
    for i in range(num_ue.value):
        ipv4 = ues.Get(i).GetObject[ns3.Ipv4]()
        routing.GetStaticRouting(ipv4).SetDefaultRoute(interfaces.GetAddress(0), 1)

    def learn_addresses():
        """Gateway and stations know one another's addresses, as from DHCP. (Whoever associates later forgets them.)"""
        for i in range(lan.GetN()):
            at = interfaces.Get(i)
            cache = ns3.DynamicCast[ns3.Ipv4L3Protocol](at.first).GetInterface(at.second).GetArpCache()
            for j in range(lan.GetN()):
                if i != j and not cache.Lookup(interfaces.GetAddress(j)):
                    entry = cache.Add(interfaces.GetAddress(j))
                    entry.SetMacAddress(lan.Get(j).GetAddress())
                    entry.MarkPermanent()

    Schedule(ns3.Seconds(warm_up.value), learn_addresses)


def expose(node, name, role, farthest_delay_s):
    """A node that participants see, with buffers for its paths."""
    application = scenario.Expose(node, name, role)
    # What the path holds, with some milliseconds for the air, and what waits unsent; more would only queue.
    round_trip_s = 2 * (farthest_delay_s + backhaul_delay.value) + 5e-3
    application.Suggest("SndBufSize", ns3.UintegerValue(int(FAST_BPS / 8 * round_trip_s) + (128 << 10)))
    application.Suggest("UdpRate", ns3.DataRateValue(ns3.DataRate("20Mbps")))


def stack():
    """IPv4 without IPv6."""
    helper = ns3.InternetStackHelper()
    helper.SetIpv6StackInstall(False)
    return helper


def build():
    """Called once the options are read."""
    aps, ues = ns3.NodeContainer(num_ap.value), ns3.NodeContainer(num_ue.value)
    gateway = ns3.CreateObject[ns3.Node]()
    stream = make_places(aps, ues, 1)
    ap_devices, ue_devices, _ = install_wifi(aps, ues, stream)
    stack().Install(gateway)
    stack().Install(ues)
    install_lan(aps, ues, gateway, ap_devices, ue_devices)
    for i in range(num_ue.value):
        expose(ues.Get(i), f"ue{i}", "ue", cloud_delay.value)
    addresses = ns3.Ipv4AddressHelper("10.2.0.0", "255.255.255.252")

    def add_server(name, role, bps, delay_s):
        server = ns3.CreateObject[ns3.Node]()
        stack().Install(server)
        link = ns3.PointToPointHelper()
        link.DisableFlowControl()  # the device's queue is the only one
        link.SetDeviceAttribute("DataRate", rate_value(bps))
        link.SetChannelAttribute("Delay", delay_value(delay_s))
        link.SetQueue("ns3::DropTailQueue", "MaxSize", ns3.StringValue("5000p"))
        interfaces = addresses.Assign(link.Install(gateway, server))
        addresses.NewNetwork()
        routing.GetStaticRouting(server.GetObject[ns3.Ipv4]()).SetDefaultRoute(interfaces.GetAddress(0), 1)
        expose(server, name, role, delay_s)

    for i in range(num_edge.value):
        add_server(f"edge{i}", "edge", edge_rate.value, edge_delay.value)
    add_server("cloud0", "cloud", cloud_rate.value, cloud_delay.value)
    for i in range(num_ap.value):
        scenario.ExposeWithoutIp(aps.Get(i), f"ap{i}", "ap")
    publish(ap_devices, ue_devices)
    area.inside, area.middle = inside, ns3.Vector3D(0, 0, UE_HEIGHT_M)
    motion.Start(scenario.registry(), area, "the row of access points begins at (0, 0, 3) and goes along x")
    scenario.WarmUp(warm_up.value)


def publish(ap_devices, ue_devices):
    """What participants may read."""
    macs = [
        ns3.DynamicCast[ns3.StaWifiMac](ns3.DynamicCast[ns3.WifiNetDevice](ue_devices.Get(i)).GetMac())
        for i in range(num_ue.value)
    ]
    bssids = [str(ap_devices.Get(i).GetAddress()) for i in range(num_ap.value)]
    noise_dbm = -174 + 10 * math.log10(float(bandwidth.value) * 1e6) + NOISE_FIGURE_DB

    def ap(mac):
        return bssids.index(str(mac.GetBssid(0).ConvertTo())) if mac.IsAssociated() else -1

    def rssi(mac):
        if ap(mac) < 0:
            return math.nan
        newest = mac.GetWifiRemoteStationManager().GetMostRecentRssi(mac.GetBssid(0))
        return newest.value() if newest.has_value() else math.nan

    each = [("ue", num_ue.value)]
    registry = scenario.registry()
    registry.Publish(
        "ue_associated", "", "1 when the station is associated, otherwise 0",
        lambda: [mac.IsAssociated() for mac in macs], each, dtype="u1",
    )  # fmt: skip
    registry.Publish(
        "ue_ap", "", "number of the station's access point, from 0; -1 when it has none",
        lambda: [ap(mac) for mac in macs], each, dtype="i4",
    )  # fmt: skip
    registry.Publish(
        "ue_rssi_dbm", "dBm", "power of the newest frame from the station's access point; nan before the first",
        lambda: [rssi(mac) for mac in macs], each,
    )  # fmt: skip
    registry.Publish(
        "ue_snr_db", "dB", "ue_rssi_dbm over the noise of the whole channel",
        lambda: [rssi(mac) - noise_dbm for mac in macs], each,
    )  # fmt: skip


sys.exit(scenario.Main(sys.argv, build))  # reads the options, calls build, runs
