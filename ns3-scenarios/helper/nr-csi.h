// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What programs are told of the channel.
#pragma once

#include <complex>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "nr-cells.h"
#include "nr-csi-options.h"
#include "nr-pairs.h"
#include "nr-sounding.h"
#include "nr-type-two-csi.h"
#include "registry.h"

namespace edgelam {

/// Publishes, of the pairs of NrPairs (axes `ue`, or `cell` and `ue`, or `pair`):
///
///     csi_pairs [pair, cell and ue]   of which cells and UEs the rows tell, in C order of the other axes
///     ue_channel [..., ue_antenna, element, prb_group]   complex64, in the middle of each group, as the options say:
///                          as it is; or the mean of the pilots of the group's resource blocks; with csiBits, both
///                          parts of each coefficient rounded (QuantiseCsi); or as reported (NrTypeTwoCsi)
///     ue_channel_slot [...]           the slot of which it (and ue_pilots) tells
///
/// and with pilots
///
///     ue_pilots [..., ue_antenna, element, prb]   complex64: h + n in the middle of each resource block
///     ue_pilot_noise [...]            mean |n|^2
///
/// and with reports
///
///     ue_report [...]                 NrTypeTwoReport
///
/// All of them lie in the scenario's arena: participants see the memory into which they were computed.
class NrCsi {
  public:
    /// \param cells, pairs live as long as this. Throws std::invalid_argument for options that do not go together
    NrCsi(const NrCells& cells, NrPairs& pairs, const NrCsiOptions& options);

    /// \param changed called when pairs have been selected
    void Publish(Registry& registry, std::function<void()> changed);

  private:
    using Complex = std::complex<float>;
    void PublishPilots(Registry& registry);
    void PublishReports(Registry& registry);
    /// The slot of which a pair's row tells.
    std::uint64_t SlotOf(const CellUe& pair);
    /// One value for each pair.
    template<class T, class F>
    Array<T> OfEachPair(F get) const;
    /// An array of `perPair` values for each pair that lies in the arena. \param fill gets a pair and its values
    SharedArray<Complex> EachPair(Registry& registry, const std::vector<Axis>& more,
                                  const std::function<void(const CellUe&, std::span<Complex>)>& fill) const;
    void FillChannel(const CellUe& pair, std::span<Complex> h);

    const NrCells& m_cells;
    NrPairs& m_pairs;
    const std::uint32_t m_bits;
    std::optional<NrSounding> m_sounding;
    std::optional<NrTypeTwoCsi> m_typeTwo;
    std::vector<double> m_groupsHz;
    std::vector<Axis> m_antennas; ///< of a channel: UE antennas, elements
};

/// Round both parts of each value to one of 2^bits levels, evenly from -m to m, where m is the largest part of all: the
/// middle of the interval in which it lies.
void QuantiseCsi(std::span<std::complex<float>> values, std::uint32_t bits);

} // namespace edgelam
