// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A node of the network that participants see.
#pragma once

#include <string>

#include "ns3/node.h"
#include "ns3/ptr.h"

#include "transfer-application.h"

namespace edgelam {

/// Its number on the bridge is its ns-3 node id.
struct ExposedNode {
    ns3::Ptr<ns3::Node> node;
    std::string name;
    std::string role;
    ns3::Ptr<TransferApplication> application; ///< null without IPv4: nothing can be sent from it or to it
};

} // namespace edgelam
