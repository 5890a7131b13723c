// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Observables and controls of analog beams.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "nr-helper.h"
#include "nr-traces.h"
#include "registry.h"

namespace edgelam {

/// Publishes, of cells with analog beams (nr::BeamManagement):
///
///     serving_beam [ue]            the beam of its gNB that serves each UE; -1: it is in no cell
///     ue_beam [ue]                 the beam with which the UE receives it
///     beam_rsrp_dbm [ue, beam]     L1-RSRP of each beam of its gNB's sweep, as the UE has measured it last
///     beam_frequency [beam, row and column]   of all beams, turns from element to element (nr::AnalogCodebook); in a
///                                  network, all cells have the same
///     trace_beams [record]         nr::BeamRecord
///
/// and takes
///
///     beam [ue]                    the gNB's beam of each UE, whatever it reports; -1: by its reports. It holds in the
///                                  cell in which a UE is
///     ue_bearing [ue]              where the first panel of each UE faces, if UEs have panels (NrHelper), in one cell
///
/// Must live as long as the run.
class NrAnalogBeams {
  public:
    /// \param cells lives as long as this; \param controlled called with the slot from which a control holds
    NrAnalogBeams(const NrHelper& helper, const NrCells& cells, Registry& registry,
                  std::function<void(std::uint64_t slot)> controlled);

  private:
    /// Null: the UE is in no cell.
    nr::Cell* CellOf(std::uint32_t ue) const;
    nr::BeamManagement::Pair ServingOf(nr::Cell& cell, std::uint32_t ue) const;
    std::string SetBeams(const std::vector<std::int32_t>& beams);
    std::string SetBearings(const std::vector<double>& degrees);

    const NrHelper& m_helper;
    const NrCells& m_cells;
    std::function<void(std::uint64_t)> m_controlled;
    NrTrace<nr::BeamRecord> m_trace;
};

} // namespace edgelam
