// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Where the exposed nodes are, for maps of a run: an observable of every scenario.
#pragma once

#include <vector>

#include "registry.h"
#include "request-handler.h"

namespace edgelam {

/// Publish node_position, [node, xyz] in metres, in the order of `nodes`; nan for a node without a mobility model.
/// Nothing is published if no node has one, or if the scenario has an observable of this name.
///
/// Reading it changes no bit of the simulation. Asking a moving mobility model for its position would: it adds up its
/// way from reading to reading, which rounds differently each time. Here the place is computed from position and
/// velocity at the last change of course instead, which is exact for models that move in straight lines in between.
void PublishPlaces(Registry& registry, const std::vector<ExposedNode>& nodes);

} // namespace edgelam
