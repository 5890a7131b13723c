// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The statistics of clusters and rays: TR 38.901 tables 7.5-6 to 7.5-11.
#pragma once

#include "channel-statistics.h"

namespace edgelam {

/// Table 7.5-6, less what depends on the geometry; of deployments that have rows there.
ClusterStatistics ThreeGppClusters(Deployment deployment, double frequencyGHz, LinkCondition condition);
/// One cluster without spreads of any kind and without cross-polar power.
ClusterStatistics ClarkeClusters();
/// Tables 7.5-7 to 7.5-9: what of the zenith angles of departure depends on the geometry.
void SetZenithOfDeparture(Deployment deployment, LinkCondition condition, double frequencyGHz,
                          const LinkGeometry& geometry, ClusterStatistics& statistics);

} // namespace edgelam
