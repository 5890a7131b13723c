// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include "ns3/default-simulator-impl.h"

namespace edgelam {

/// ns-3's own simulator, which also notes that Simulator::Stop was called: in a build function it is a line of an ns-3
/// main() too many, and leaves no other trace until the run ends early. A scenario that chooses another
/// SimulatorImplementationType has that one instead, and no note is taken.
class BuildWatch : public ns3::DefaultSimulatorImpl {
  public:
    static ns3::TypeId GetTypeId();
    /// Make it the simulator, unless another has been chosen or is at work.
    static void Install();
    /// Whether Simulator::Stop has been called since.
    static bool Stopped();

    void Stop() override;
    ns3::EventId Stop(const ns3::Time& delay) override;
};

} // namespace edgelam
