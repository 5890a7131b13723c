// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The indoor factory of TR 38.901 (release 16 on), which ns-3's own channel model does not have.
#pragma once

#include "channel-statistics.h"

namespace edgelam {

/// True for the five InF deployments.
bool IsFactory(Deployment deployment);

/// The hall with its zeros replaced by the defaults of that kind of factory. Throws std::invalid_argument for values
/// outside the ranges of TR 38.901 table 7.2-4.
FactoryHall CompleteHall(Deployment deployment, FactoryHall hall);

/// Table 7.4.2-1. A base station of SH or DH that is not above the clutter counts as one of SL or DL; a terminal above
/// the clutter is always in line of sight.
double FactoryLosProbability(Deployment deployment, const FactoryHall& hall, const LinkGeometry& geometry);

/// Path loss in dB, table 7.4.1-1; distance in m, 1 or more. InF-HH is always in line of sight: its NLOS loss is the
/// same.
double FactoryPathLossDb(Deployment deployment, LinkCondition condition, double distance3dM, double frequencyGHz);

/// Table 7.4.1-1. In line of sight 4.3 dB, as in v16.1 to v17 (other implementations have 4.0).
double FactoryShadowingStdDb(Deployment deployment, LinkCondition condition);

/// Tables 7.5-6 part 3 and 7.5-11, all of it but the shadowing.
ClusterStatistics FactoryClusters(LinkCondition condition, const FactoryHall& hall, double frequencyGHz);

} // namespace edgelam
