// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Analog transfers from UEs to a gNB, by the nodes of a scenario.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "ns3/node.h"

#include "nr-cell.h"
#include "transfer-application.h"

namespace edgelam {

/// Let a gNB take analog transfers of UEs that are in one of its cells, all in the same.
/// \param application of the gNB \param ues their nodes, by number
/// \param servingCell the cell of this gNB that a UE is in, or null
void TakeAnalog(TransferApplication& application, std::vector<ns3::Ptr<ns3::Node>> ues,
                std::function<ns3::Ptr<nr::Cell>(std::uint32_t ue)> servingCell);

} // namespace edgelam
