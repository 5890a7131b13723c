// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// User selection by precoders from outside.
#pragma once

#include "nr-user-selection.h"

namespace edgelam::nr {

/// Who is sent to on a group is who has weights there (ExternalBeamformer) and something to send. A retransmission is
/// sent on as many groups as before, the first of those where its UE has weights for its number of layers. If there are
/// too few, it goes where the scheduler has put it, alone and over its own beams; so do multicast groups. Groups on
/// which nobody has weights and something to send stay as the scheduler gave them, to UEs without weights.
class ExternalSelection : public UserSelection {
  public:
    static ns3::TypeId GetTypeId();
    void Select(const SelectionRequest& request, Allocation& allocation, std::vector<unsigned>& layers) override;

  private:
    std::size_t m_first = 0; ///< the candidate whose grant has room first, as an index modulo their number
};

} // namespace edgelam::nr
