// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "ns3/default-simulator-impl.h"

namespace edgelam {

/// ns-3's own simulator, which also notes that Simulator::Stop was called: a build function must not call it, as an
/// ns-3 main() does, and nothing else shows the call until the run ends early. If a scenario chooses another
/// SimulatorImplementationType, that one is used instead, and nothing is noted.
class BuildWatch : public ns3::DefaultSimulatorImpl {
  public:
    static ns3::TypeId GetTypeId();
    /// Make it the simulator, unless another one has been chosen or is in use.
    static void Install();
    /// Whether Simulator::Stop has been called since.
    static bool Stopped();

    void Stop() override;
    ns3::EventId Stop(const ns3::Time& delay) override;
};

} // namespace edgelam
