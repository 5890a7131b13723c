// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The servers of a scenario with an NR cell, and the nodes that participants see.
#pragma once

#include <cstdint>
#include <string>

#include "nr-helper.h"
#include "options.h"
#include "scenario.h"
#include "wired-servers.h"

namespace edgelam {

/// Edge servers at the gNB's site and behind the user plane function (UPF), and a cloud behind that.
class NrServers {
  public:
    /// Add the section "Servers" to a scenario's command line.
    void AddOptions(Options& options);

    /// After the last InstallUe: make the servers, and expose, in this order, the cell's UEs ue0, ..., edge servers
    /// edge0, ... (those at the site first), cloud0 and gnb0, all tuned to the network.
    void Install(NrHelper& nr, Scenario& scenario) const;

  private:
    void Add(NrHelper& nr, Scenario& scenario, const std::string& name, const std::string& role, NrHelper::Place place,
             double rateBps, double delayS) const;

    std::uint32_t m_numEdge = 1, m_numUpfEdge = 1;
    ServerLinks m_links{1e-4};
};

} // namespace edgelam
