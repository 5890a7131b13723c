// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Carries out the requests of participants: transfers (TransferRequests, AnalogRequests), readings of observables
/// (Readings), and here settings of controls and data that participants pass to each other.
#pragma once

#include <string>
#include <vector>

#include "analog-requests.h"
#include "clock-host.h"
#include "exposed-node.h"
#include "readings.h"
#include "registry.h"
#include "transfer-requests.h"

namespace edgelam {

class RequestHandler : public RequestSink {
  public:
    RequestHandler(ClockHost& clock, const std::vector<ExposedNode>& nodes, Registry& registry);

    /// What participants get at attach.
    static std::string Catalogue(const std::string& scenario, int participants, const std::vector<ExposedNode>& nodes,
                                 const Registry& registry);

    void Handle(int participant, const Request& request) override;
    void Detached(int participant) override;
    bool Outstanding() const override;

  private:
    void Set(int p, const Request& request);
    void Post(int p, const Request& request);

    ClockHost& m_clock;
    Registry& m_registry;
    TransferRequests m_transfers;
    AnalogRequests m_analog;
    Readings m_readings;
};

} // namespace edgelam
