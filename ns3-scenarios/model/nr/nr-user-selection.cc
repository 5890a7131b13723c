// SPDX-License-Identifier: GPL-2.0-only
#include "nr-user-selection.h"

#include "ns3/log.h"

#include "nr-component.h"

NS_LOG_COMPONENT_DEFINE("NrUserSelection");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(UserSelection);

ns3::TypeId UserSelection::GetTypeId() {
    static const ns3::TypeId tid =
        ns3::TypeId("edgelam::nr::UserSelection").SetParent<ns3::Object>().SetGroupName("Edgelam");
    return tid;
}

ns3::Ptr<UserSelection> UserSelection::Make(const std::string& name, Direction direction) {
    if (name == "none") {
        return nullptr;
    }
    if (direction == Direction::Uplink) {
        constexpr ShortName names[] = {{"none", ""},
                                       {"greedy", "edgelam::nr::UplinkGreedySelection"},
                                       {"semi-orthogonal", "edgelam::nr::UplinkSemiOrthogonalSelection"}};
        return MakeComponent<UserSelection>("uplink selection", name, names);
    }
    constexpr ShortName names[] = {{"none", ""},
                                   {"greedy", "edgelam::nr::GreedySelection"},
                                   {"semi-orthogonal", "edgelam::nr::SemiOrthogonalSelection"},
                                   {"external", "edgelam::nr::ExternalSelection"}};
    return MakeComponent<UserSelection>("selection", name, names);
}

} // namespace edgelam::nr
