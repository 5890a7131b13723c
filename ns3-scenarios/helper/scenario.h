// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The interface for the author of a scenario. See scenarios/wired-star.cc for a complete example.
///
///     int main(int argc, char* argv[]) {
///         edgelam::Scenario scenario("my-scenario", "what it is, in one line");
///         std::uint32_t numUe = 4;
///         scenario.options().Integer("numUe", numUe, "devices", 1, 1000);
///         return scenario.Main(argc, argv, [&] {
///             ... build nodes, links, an IPv4 stack with routes ...
///             scenario.Expose(node, "ue0", "ue");
///             scenario.registry().Publish<double>(...);
///         });
///     }
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ns3/application-container.h"
#include "ns3/event-id.h"
#include "ns3/node-container.h"

#include "options.h"
#include "registry.h"
#include "request-handler.h"
#include "self-test.h"
#include "transfer-application.h"

namespace ns3 {
class AnimationInterface;
}

namespace edgelam {

/// The frame around a scenario: command line, seed, exposed nodes, observables, the run itself.
///
/// With --edgelam-address, participants drive the run over the bridge. Without it, the scenario sends built-in test
/// traffic between its own nodes (those with IPv4) and prints what it measured.
///
/// Exit status: 0 finished; 1 the test traffic did not finish; 2 a mistake on the command line; 3 a participant died,
/// or nobody attached; 4 deadlock.
class Scenario {
  public:
    Scenario(std::string name, std::string summary);
    ~Scenario();

    /// The scenario's own options; add them before Main.
    Options& options() { return m_options; }
    Registry& registry() { return m_registry; }

    /// Make a node visible to participants, under a unique name. Roles: "ue", "gnb", "edge", "cloud". Its transfer
    /// application is installed here: the node must have its IPv4 addresses by now.
    TransferApplication& Expose(ns3::Ptr<ns3::Node> node, const std::string& name, const std::string& role);
    /// The same for a node without IPv4, in a scenario about radio alone: transfers from it or to it are refused.
    void ExposeWithoutIp(ns3::Ptr<ns3::Node> node, const std::string& name, const std::string& role);

    /// Make an object that lives until the end of the run, longer than ns-3's own objects. Variables of the build
    /// function are destroyed before the run begins, and many of ns-3's helpers must live longer:
    ///
    ///     auto& flows = scenario.Keep<ns3::FlowMonitorHelper>();
    ///     auto& animation = scenario.Keep<ns3::AnimationInterface>("cell.xml");
    template<class T, class... Arguments>
    T& Keep(Arguments&&... arguments) {
        auto kept = std::make_shared<T>(std::forward<Arguments>(arguments)...);
        m_kept.push_back(kept);
        return *kept;
    }
    /// Hold an ns-3 pointer, or move an object in:
    ///
    ///     auto lte = scenario.Keep(ns3::CreateObject<ns3::LteHelper>());
    template<class T>
        requires(!std::is_lvalue_reference_v<T>)
    T& Keep(T&& object) {
        static_assert(std::is_move_constructible_v<T> && !std::is_same_v<T, ns3::AnimationInterface>,
                      "this cannot be moved: make it in place, as in scenario.Keep<ns3::FlowMonitorHelper>()");
        return Keep<T, T>(std::move(object));
    }
    template<class T>
    ns3::Ptr<T>& Keep(const ns3::Ptr<T>& pointer) {
        return Keep<ns3::Ptr<T>, const ns3::Ptr<T>&>(pointer);
    }

    /// The participants' t = 0 is this long after ns-3's. Before it, stations associate, UEs attach, routes converge,
    /// and applications of the scenario run. Participants' times, and --stopTime, count from there (NowNs of
    /// participant-time.h); ns3::Simulator::Now() and times given to ns-3 count from ns-3's own 0. Call it in the
    /// build function. Throws std::invalid_argument for a time that is negative or not finite.
    void WarmUp(double seconds);

    /// Refuse a combination of options that is impossible only as a whole.
    [[noreturn]] void Refuse(const std::string& reason) const { throw OptionError(reason); }

    /// Reads the command line, calls `build`, runs. A std::invalid_argument that `build` throws is a refusal of the
    /// options: settings that do not go together. \return the exit status
    int Main(int argc, char* argv[], const std::function<void()>& build);

    const std::vector<ExposedNode>& nodes() const { return m_nodes; }
    std::uint32_t seed() const { return m_seed; }

  private:
    /// Refuse what follows the network in an ns-3 main(): BuildWatch sees Stop.
    void RefuseRunInBuild() const;
    void BeginExposing();
    void RefuseExposedTwice(ns3::Ptr<ns3::Node> node, const std::string& name) const;
    void CheckTransfers() const;
    int Run();
    int RunCoupled();

    Options m_options;
    Registry m_registry;
    std::vector<ExposedNode> m_nodes;
    ns3::EventId m_guard; ///< the first event of a Run in build
    std::uint32_t m_seed = 1;
    std::uint64_t m_run = 1;
    double m_warmUpS = 0;
    double m_stopTimeS = 0;
    SelfTestOptions m_selfTest;
    std::string m_address;
    std::uint32_t m_participants = 1;
    std::uint64_t m_arenaBytes = 1ull << 30;
    std::uint64_t m_ringBytes = 1 << 20;
    double m_attachTimeoutS = 60;
    std::vector<std::shared_ptr<void>> m_kept; ///< goes last to first
};

} // namespace edgelam
