// SPDX-License-Identifier: GPL-2.0-only
#include "scenario.h"

#include <exception>
#include <filesystem>
#include <iostream>

#include "ns3/ipv4.h"
#include "ns3/node-list.h"
#include "ns3/rng-seed-manager.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/udp-l4-protocol.h"

#include "build-watch.h"
#include "clock-host.h"
#include "edgelam/bridge/errors.h"
#include "edgelam/bridge/socket.h"
#include "node-places.h"
#include "participant-time.h"

namespace edgelam {

namespace {

constexpr int status_usage = 2;
constexpr int status_peer_died = 3;
/// ns-3's generator MRG32k3a takes seeds below the smaller of its two moduli, 2^32 - 22853; it aborts at others.
constexpr std::uint32_t largest_seed = 4294944442;

std::terminate_handler standardEnd;
bool runIsOver = false;

/// ns-3 ends the process, having said why. In the first events, and at the end, that is often a helper that is no more.
void EndWithHint() {
    if (runIsOver || ns3::Simulator::Now().IsZero()) {
        std::cerr << "A helper that is a variable of the build function (FlowMonitorHelper, LteHelper, EpcHelper, "
                     "AnimationInterface, ...) has ended with it, before the run: scenario.Keep holds it to the end of "
                     "the run (docs/writing-a-scenario.md)."
                  << std::endl;
    }
    standardEnd();
}

} // namespace

Scenario::Scenario(std::string name, std::string summary) : m_options(std::move(name), std::move(summary)) {}

Scenario::~Scenario() {
    while (!m_kept.empty()) {
        m_kept.pop_back();
    }
}

void Scenario::RefuseRunInBuild() const {
    const bool destroyed = !m_nodes.empty() && ns3::NodeList::GetNNodes() == 0;
    const bool run = ns3::Simulator::GetEventCount() > 0;
    if (destroyed || run || BuildWatch::Stopped()) {
        Refuse(std::string("Simulator::") +
               (destroyed ? "Destroy"
                : run     ? "Run"
                          : "Stop") +
               "() was called in the build function: leave out Simulator::Run, Stop and Destroy there. The run begins "
               "when build returns; the option --stopTime gives it an end, Simulator::ScheduleDestroy what is to be "
               "done then");
    }
}

void Scenario::RefuseExposedTwice(ns3::Ptr<ns3::Node> node, const std::string& name) const {
    for (const ExposedNode& other : m_nodes) {
        if (other.name == name) {
            throw std::invalid_argument("node '" + name + "' is exposed twice");
        }
        if (other.node == node) {
            throw std::invalid_argument("node '" + name + "' is exposed as '" + other.name + "' already");
        }
    }
}

void Scenario::BeginExposing() {
    RefuseRunInBuild();
    if (m_nodes.empty()) { // not earlier: until there is a node, build may choose ns-3's simulator and scheduler
        m_guard = ns3::Simulator::ScheduleNow([this] { RefuseRunInBuild(); });
    }
}

void Scenario::ExposeWithoutIp(ns3::Ptr<ns3::Node> node, const std::string& name, const std::string& role) {
    BeginExposing();
    RefuseExposedTwice(node, name);
    m_nodes.push_back({node, name, role, nullptr});
}

TransferApplication& Scenario::Expose(ns3::Ptr<ns3::Node> node, const std::string& name, const std::string& role) {
    BeginExposing();
    RefuseExposedTwice(node, name);
    const auto ipv4 = node->GetObject<ns3::Ipv4>();
    if (!ipv4 || ipv4->GetNInterfaces() < 2 || ipv4->GetNAddresses(1) == 0) {
        throw std::invalid_argument("node '" + name +
                                    "' has no IPv4 address yet: expose it after assigning addresses, "
                                    "or with ExposeWithoutIp");
    }
    if (!node->GetObject<ns3::TcpL4Protocol>() || !node->GetObject<ns3::UdpL4Protocol>()) {
        throw std::invalid_argument("node '" + name + "' has IPv4 but not TCP and UDP over it, which transfers take");
    }
    ns3::Ptr<TransferApplication> application;
    try {
        application = ns3::CreateObject<TransferApplication>();
    } catch (const std::invalid_argument& error) { // a default from the command line
        Refuse(error.what());
    }
    application->SetAttribute("Name", ns3::StringValue(name));
    application->SetAttribute("Address", ns3::Ipv4AddressValue(ipv4->GetAddress(1, 0).GetLocal())); // 0: loopback
    node->AddApplication(application);
    m_nodes.push_back({node, name, role, application});
    return *application;
}

int Scenario::Main(int argc, char* argv[], const std::function<void()>& build) {
    m_options.Section("Run");
    m_options.Integer("seed", m_seed, "seed of every random stream", 1, largest_seed);
    m_options.Count("runNumber", m_run, "independent repetition with the same seed", 1, 1'000'000'000'000);
    m_options.Time("stopTime", m_stopTimeS, "end after this simulated time; 0s: when participants or test traffic end",
                   0, 1e8);
    m_options.Section("Built-in traffic, when nobody is attached");
    m_options.Choice("traffic", m_selfTest.traffic,
                     "transfers: each device sends to a server, which answers; bulk-send: ns-3's own, tcp and up only",
                     {"transfers", "bulk-send", "none"});
    m_options.Choice("protocol", m_selfTest.protocol, "protocol of the transfers", {"tcp", "udp", "ideal"});
    m_options.Count("bytes", m_selfTest.bytes, "size of each transfer, bytes", 1, 1'000'000'000'000);
    m_options.Choice("format", m_selfTest.format, "format of the results", {"table", "json"});
    m_options.Sets("edgelam::TransferApplication", {{"Name", ""}, {"Address", ""}});
    m_options.Section("Bridge (set by the program that starts the scenario)");
    m_address = bridge::TakeAddressFromEnvironment();
    m_options.Text("edgelam-address", m_address,
                   "abstract Unix socket at which participants attach, @name; "
                   "EDGELAM_SCENARIO_ADDRESS in the environment keeps it from other users");
    m_options.Integer("edgelam-participants", m_participants, "number of participants that attach before t = 0", 1,
                      200);
    m_options.Count("edgelam-arena-bytes", m_arenaBytes, "arena of each process, bytes; costs memory only once used",
                    1 << 16, 1ull << 40);
    m_options.Count("edgelam-ring-bytes", m_ringBytes, "message ring each way, bytes, a power of two", 4096,
                    1ull << 30);
    m_options.Real("edgelam-attach-timeout", m_attachTimeoutS, "s", "how long to wait for participants", 0.1, 1e6);
    try {
        if (!m_options.Parse(argc, argv)) {
            std::cout << m_options.Help();
            return 0;
        }
        if (!m_address.empty() && (m_address[0] != '@' || m_address.size() < 2 || m_address.size() > 100)) {
            Refuse("option --edgelam-address=" + m_address + " is not legal: it takes @ and 1 to 99 characters");
        }
        if ((m_ringBytes & (m_ringBytes - 1)) != 0) {
            Refuse("option --edgelam-ring-bytes=" + std::to_string(m_ringBytes) +
                   " is not legal: it takes a power of two");
        }
        if (m_selfTest.traffic == "bulk-send" && m_selfTest.protocol != "tcp") {
            Refuse("option --protocol=" + m_selfTest.protocol + " is not legal with --traffic=bulk-send: it takes tcp");
        }
        ns3::RngSeedManager::SetSeed(m_seed);
        ns3::RngSeedManager::SetRun(m_run);
        BuildWatch::Install();
        try {
            build();
        } catch (const std::invalid_argument& error) { // settings that do not go together
            Refuse(error.what());
        }
        RefuseRunInBuild();
        ns3::Simulator::Remove(m_guard);
        CheckTransfers();
        return Run();
    } catch (const OptionError& error) {
        std::cerr << m_options.name() << ": " << error.what() << std::endl;
        return status_usage;
    } catch (const bridge::BridgeError& error) {
        std::cerr << m_options.name() << ": " << error.what() << std::endl;
        return status_peer_died;
    } catch (const std::exception& error) {
        std::cerr << m_options.name() << ": " << error.what() << std::endl;
        return 1;
    }
}

void Scenario::WarmUp(double seconds) {
    if (!(seconds >= 0 && seconds <= 1e8)) {
        throw std::invalid_argument("a warm-up of " + std::to_string(seconds) + " s; legal are 0 to 1e8 s");
    }
    m_warmUpS = seconds;
}

void Scenario::CheckTransfers() const {
    for (const ExposedNode& node : m_nodes) {
        if (!node.application) {
            continue;
        }
        if (const std::string conflict = node.application->PortConflict(); !conflict.empty()) {
            throw std::invalid_argument(conflict);
        }
    }
}

int Scenario::Run() {
    if (!standardEnd) {
        standardEnd = std::set_terminate(EndWithHint);
    }
    SetWarmUpNs(ns3::Seconds(m_warmUpS).GetNanoSeconds());
    if (m_warmUpS > 0) {
        ns3::Simulator::Stop(ns3::Seconds(m_warmUpS));
        ns3::Simulator::Run();
        if (NowNs() < 0) {
            throw std::runtime_error("the warm-up of " + std::to_string(m_warmUpS) + " s was stopped after " +
                                     std::to_string(ns3::Simulator::Now().GetSeconds()) +
                                     " s: the scenario calls ns3::Simulator::Stop");
        }
    }
    const int status = m_address.empty() ? RunSelfTest(m_selfTest, m_nodes, m_stopTimeS) : RunCoupled();
    runIsOver = true;
    ns3::Simulator::Destroy();
    return status;
}

int Scenario::RunCoupled() {
    bridge::HostOptions options;
    options.address = m_address;
    options.participants = static_cast<int>(m_participants);
    options.ring_bytes = m_ringBytes;
    options.arena_bytes = m_arenaBytes;
    options.attach_timeout_s = m_attachTimeoutS;
    PublishPlaces(m_registry, m_nodes);
    ClockHost clock(options);
    RequestHandler handler(clock, m_nodes, m_registry);
    clock.Attach(RequestHandler::Catalogue(m_options.name(), options.participants, m_nodes, m_registry), handler);
    if (m_stopTimeS > 0) {
        ns3::Simulator::Stop(ns3::Seconds(m_stopTimeS));
    }
    ns3::Simulator::Run();
    const std::int64_t nowNs = NowNs();
    const bool planned = m_stopTimeS > 0 && nowNs >= ns3::Seconds(m_stopTimeS).GetNanoSeconds();
    clock.End((planned ? "the scenario ended at its stopTime, t = " : "the scenario called Simulator::Stop for t = ") +
              std::to_string(static_cast<double>(nowNs) * 1e-9) + " s");
    return clock.ExitStatus();
}

} // namespace edgelam
