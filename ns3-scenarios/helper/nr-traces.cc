// SPDX-License-Identifier: GPL-2.0-only
#include "nr-traces.h"

namespace edgelam {

NrTraces::NrTraces(const NrCells& cells, Registry& registry)
    : m_blocks(cells, "TransportBlock", registry, "trace_blocks",
               "every transmission of a transport block: scheduling, MCS, SINR, error probability, HARQ"),
      m_packets(cells, "PacketDelivered", registry, "trace_packets",
                "every packet a bearer delivers: when PDCP took it, when it handed it up"),
      m_csi(cells, "CsiReport", registry, "trace_csi", "every CSI report: rank, wideband CQI and SINR"),
      m_power(cells, "Power", registry, "trace_power",
              "power of the radio of each UE and of the gNB (ue -1), in stretches of slots",
              &nr::Cell::AccountForEnergy) {}

} // namespace edgelam
