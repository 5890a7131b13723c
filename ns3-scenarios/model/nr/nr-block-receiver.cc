// SPDX-License-Identifier: GPL-2.0-only
#include "nr-block-receiver.h"

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrBlockReceiver");

namespace edgelam::nr {

void BlockReceiver::Receive(const HarqProcess& process, Reception& reception, double sinr, unsigned symbols,
                            TransportBlockRecord record) {
    const unsigned prbs = m_carrier.PrbsOf(process.groups),
                   bitsPerSymbol = McsAt(m_carrier.mcsTable, process.mcs).bitsPerSymbol;
    reception.soft.Add(sinr,
                       static_cast<double>(m_carrier.DataElements(prbs, symbols, process.dmrsParts)) * bitsPerSymbol *
                           process.layers,
                       m_carrier.settings.incrementalRedundancy ? RedundancyVersion(process.attempts) : 0);
    const double bler = reception.soft.ErrorRate(m_carrier.errors, process.blocks, bitsPerSymbol);
    reception.decoded = reception.draw >= bler;
    NS_LOG_LOGIC("slot " << record.slot << (record.uplink != 0 ? " uplink" : " downlink") << " UE " << record.ue
                         << " process " << int(record.harq) << ": " << prbs << " resource blocks, MCS "
                         << int(process.mcs) << ", " << DbOf(sinr) << " dB, "
                         << (reception.decoded ? "decoded" : "lost"));
    if (m_trace.IsEmpty()) {
        return;
    }
    record.time_ns = m_carrier.numerology.SlotStartNs(static_cast<std::int64_t>(record.slot));
    record.attempt = static_cast<std::uint8_t>(process.attempts + 1);
    record.mcs = process.mcs;
    record.layers = process.layers;
    record.received = reception.decoded;
    record.prbs = static_cast<std::uint16_t>(prbs);
    record.first_prb = static_cast<std::uint16_t>(process.groups.front() * m_carrier.prbsPerGroup);
    for (const auto g : process.groups) {
        record.rbgs |= 1u << g;
    }
    record.bits = process.bits;
    record.sinr_db = static_cast<float>(DbOf(sinr));
    record.bler = static_cast<float>(bler);
    m_trace(record);
}

} // namespace edgelam::nr
