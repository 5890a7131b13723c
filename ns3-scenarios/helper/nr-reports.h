// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Observables and controls of NR cells, the same in every scenario that has one or several.
#pragma once

#include <array>
#include <complex>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nr-analog-beams.h"
#include "nr-cells.h"
#include "nr-csi.h"
#include "nr-helper.h"
#include "nr-pairs.h"
#include "nr-traces.h"
#include "registry.h"

namespace edgelam {

/// What does not change during a run.
struct NrCellInfo {
    double carrier_hz, bandwidth_hz;
    double slot_s; ///< mean
    std::uint32_t numerology, prbs;
    std::uint32_t prb_groups; ///< of the scheduler; all but the last have the same number of resource blocks
    std::uint32_t prbs_per_group;
};
EDGELAM_MESSAGE(NrCellInfo, carrier_hz, bandwidth_hz, slot_s, numerology, prbs, prb_groups, prbs_per_group)

/// Transport blocks of one UE and direction so far. Block error rate of first transmissions: first_errors / blocks.
struct NrBlockCounts {
    std::uint64_t blocks;          ///< first transmissions
    std::uint64_t first_errors;    ///< of these, not decoded
    std::uint64_t retransmissions; ///< by HARQ
    std::uint64_t decoded_bits;    ///< transport block bits that were decoded at last
};
EDGELAM_MESSAGE(NrBlockCounts, blocks, first_errors, retransmissions, decoded_bits)

/// Packets of one UE and direction so far.
struct NrBearerCounts {
    std::uint64_t sent_packets;       ///< taken by the bearer
    std::uint64_t dropped_packets;    ///< not taken: its buffer was full
    std::uint64_t delivered_packets;  ///< to the IP layer
    std::uint64_t delivered_bytes;    ///< of IP packets
    std::uint64_t lost_packets;       ///< on the air, given up
    std::uint64_t retransmitted_pdus; ///< by RLC AM
};
EDGELAM_MESSAGE(NrBearerCounts, sent_packets, dropped_packets, delivered_packets, delivered_bytes, lost_packets,
                retransmitted_pdus)

/// Publishes, with axes [direction: downlink, uplink; ue]:
///
///     cell                     NrCellInfo
///     ue_link                  LinkState [ue] (channel-link.h)
///     ue_last_block            nr::TransportBlockRecord: the newest transmission; attempt 0 before the first
///     ue_block_counts          NrBlockCounts
///     ue_prb_slots             resource blocks times slots of its own transport blocks, retransmissions too
///     ue_throughput_bps        of decoded transport blocks, smoothed over 0.1 s
///     ue_backlog_bytes         waiting in RLC
///     ue_bearer_counts         NrBearerCounts
///     bearer_backlog_bytes, bearer_counts   of each bearer [direction, ue, bearer], if there are several
///     ue_slice                 slice of each UE [ue], if there are slices
///     ue_radio_j               energy of its radio so far
///     ue_radio_peak_w          the most that the radio of a UE takes in a slot
///     ue_radio_link            RadioLink::State of each UE [ue]
///     gnb_radio_j              energy of the gNB so far [direction]
///     ue_channel, ...          H [ue, ue_antenna, element, prb_group], amplitudes, and more (NrCsi)
///     trace_blocks, ...        see NrTraces
///     control_slot             first slot for which the newest control of these holds
///
/// and takes, with nr::ExternalScheduler or a class derived from it:
///
///     prb_share                part of the band of each UE
///     prb_least                least resource blocks of each UE that has so much to send
///     prb_cap                  most resource blocks of each UE in a slot (nr::ExternalScheduler)
///
/// and with nr::ExclusiveScheduler or a class derived from it (all but those that put several UEs on a group):
///
///     cell_prb_cap             most resource blocks of the cell in a slot [direction]
///     slice_share, slice_prb_cap   of each slice [direction, slice], if there are slices (nr::SliceBudget)
///     guaranteed_bps           guaranteed rates [direction, ue, bearer], if there are several bearers
///
/// and with nr::ExternalBeamformer or a class derived from it:
///
///     precoder                 weights of the gNB [ue, prb_group, element, layer]; see nr::ReadPrecoders. With other
///                              pairs than the serving ones (NrPairs), [cell, ue, ...] or [pair, ...]; the weights of
///                              a UE in a cell in which it is not are zeros
///
/// With RF chains (NrHelper::RfChains), `precoder` is [ue, prb_group, chain, layer], and the weights of an element are
/// the sum over chains of it times
///
///     analog_precoder          [element, chain]: magnitude 1 where a chain is connected, 0 elsewhere
///
/// What is checked is the product. It is formed anew when one of the two changes.
///
/// and, with analog beams, what NrAnalogBeams tells and takes.
///
/// In a network, UEs have their numbers in the network, and what they are given holds in the cell that they are in,
/// also after a handover; a precoder is forgotten when its UE leaves. A UE that is in no cell has radio link 2. `cell`
/// is [cell], gnb_radio_j [direction, gnb], analog_precoder [cell, element, chain], cell_prb_cap [direction, cell],
/// slice_share and slice_prb_cap [direction, cell, slice]. What is not legal in one cell changes nothing in any.
///
/// Must live as long as the run.
class NrReports {
  public:
    /// After the last InstallUe.
    NrReports(const NrHelper& helper, Registry& registry) : NrReports(helper, NrCells(helper), registry) {}
    /// For a network. \param helper has made its cells
    NrReports(const NrHelper& helper, NrCells cells, Registry& registry);

  private:
    using Complex = std::complex<float>;
    static constexpr std::size_t num_directions = 2;

    /// An exponential average that ends at `sinceNs`.
    struct Throughput {
        double bps = 0;
        std::int64_t sinceNs = 0;
        double At(std::int64_t timeNs) const;
    };

    void Record(const nr::TransportBlockRecord& record);
    void PublishLinks(Registry& registry);
    void PublishTraffic(Registry& registry);
    void AddControls(Registry& registry);
    void AddPrecoding(Registry& registry);
    void AddHybridPrecoding(Registry& registry);
    /// Set the weights of pairs, [pair, group, element, layer]. \return why not, or empty
    std::string SetPrecoders(const std::vector<CellUe>& pairs, std::span<const Complex> weights);
    static std::string CheckRows(const std::vector<CellUe>& pairs, std::size_t rows);
    /// Set both parts of a hybrid precoder. \return why not, or empty
    std::string SetHybrid(std::vector<Complex> analog, std::vector<Complex> digital);
    void AddQuality(Registry& registry);
    std::vector<std::int32_t> SliceOfUes() const;
    /// Let a control take effect. \return why not, or empty
    std::string SetSlot(const std::function<std::uint64_t()>& apply);
    /// Let a control take effect in all cells. \return why not, or empty
    std::string SetCells(const std::function<nr::Cell::Change(std::uint32_t cell)>& prepare);
    /// A control of two numbers for each UE.
    template<class T>
    void ControlUes(Registry& registry, const std::string& name, const std::string& help,
                    nr::Cell::Change (nr::Cell::*change)(const std::vector<T>& down, const std::vector<T>& up));
    /// A control of two numbers for each slice of each cell.
    template<class T>
    void ControlSlices(Registry& registry, const std::string& name, const std::string& help,
                       nr::Cell::Change (nr::Cell::*change)(const std::vector<T>& down, const std::vector<T>& up));

    const NrHelper& m_helper;
    const NrCells m_cells;
    NrPairs m_pairs;
    std::optional<NrCsi> m_csi;
    std::array<std::vector<nr::TransportBlockRecord>, num_directions> m_last;
    std::array<std::vector<NrBlockCounts>, num_directions> m_counts;
    std::array<std::vector<std::uint64_t>, num_directions> m_prbSlots;
    std::array<std::vector<Throughput>, num_directions> m_throughput;
    std::uint64_t m_controlSlot = 0;
    /// [(cell,) element, chain] and [pair, group, chain, layer]; empty: not set yet
    std::vector<Complex> m_analog, m_digital;
    NrTraces m_traces;
    std::optional<NrAnalogBeams> m_analogBeams;
};

} // namespace edgelam
