// SPDX-License-Identifier: GPL-2.0-only
#include "build-watch.h"

#include "ns3/global-value.h"
#include "ns3/string.h"

namespace edgelam {

namespace {

constexpr const char* choice = "SimulatorImplementationType"; // ns-3's global value
bool stopped = false;

} // namespace

NS_OBJECT_ENSURE_REGISTERED(BuildWatch);

ns3::TypeId BuildWatch::GetTypeId() {
    static ns3::TypeId tid = ns3::TypeId("edgelam::BuildWatch")
                                 .SetParent<ns3::DefaultSimulatorImpl>()
                                 .SetGroupName("Edgelam")
                                 .AddConstructor<BuildWatch>();
    return tid;
}

void BuildWatch::Install() {
    stopped = false;
    ns3::StringValue chosen;
    ns3::GlobalValue::GetValueByName(choice, chosen);
    if (chosen.Get() == ns3::DefaultSimulatorImpl::GetTypeId().GetName()) {
        ns3::GlobalValue::Bind(choice, ns3::StringValue(GetTypeId().GetName()));
    }
}

bool BuildWatch::Stopped() {
    return stopped;
}

void BuildWatch::Stop() {
    stopped = true;
    DefaultSimulatorImpl::Stop();
}

ns3::EventId BuildWatch::Stop(const ns3::Time& delay) {
    stopped = true;
    return DefaultSimulatorImpl::Stop(delay);
}

} // namespace edgelam
