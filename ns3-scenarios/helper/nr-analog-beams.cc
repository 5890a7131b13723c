// SPDX-License-Identifier: GPL-2.0-only
#include "nr-analog-beams.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <utility>

namespace edgelam {

NrAnalogBeams::NrAnalogBeams(const NrHelper& helper, const NrCells& cells, Registry& registry,
                             std::function<void(std::uint64_t)> controlled)
    : m_helper(helper), m_cells(cells), m_controlled(std::move(controlled)),
      m_trace(cells, "Beams", registry, "trace_beams",
              "analog beams: what UEs measure (event 0: a sweep, 2: narrow beams, 3: their own beams), what the gNB "
              "reads in reports (1), new beams (4), bad serving beams (5), failures (6) and recoveries (7)") {
    const std::uint32_t numUes = cells.NumUes();
    auto& codebook = cells.Front().GetBeamManagement().Codebook();
    const std::int64_t swept = codebook.NumSweep(), all = codebook.NumBeams();
    const auto each = [this, numUes](auto member) {
        Array<std::int32_t> array{{numUes}, {}};
        for (std::uint32_t ue = 0; ue < numUes; ++ue) {
            nr::Cell* const cell = CellOf(ue);
            array.values.push_back(cell ? static_cast<std::int32_t>(ServingOf(*cell, ue).*member) : -1);
        }
        return array;
    };
    registry.Publish<Array<std::int32_t>>(
        "serving_beam", "",
        "the gNB's analog beam that serves each UE; narrow ones follow those of the sweep; -1: it is in no cell",
        [each] { return each(&nr::BeamManagement::Pair::gnb); }, {{"ue", numUes}});
    registry.Publish<Array<std::int32_t>>("ue_beam", "", "the analog beam with which each UE receives it",
                                          [each] { return each(&nr::BeamManagement::Pair::ue); }, {{"ue", numUes}});
    registry.Publish<Array<double>>(
        "beam_rsrp_dbm", "dBm",
        "L1-RSRP of each beam of its gNB's sweep, as each UE has measured it last; NaN: it is in no cell",
        [this, numUes, swept] {
            Array<double> array{{numUes, swept}, {}};
            for (std::uint32_t ue = 0; ue < numUes; ++ue) {
                nr::Cell* const cell = CellOf(ue);
                const auto row = cell ? cell->GetBeamManagement().Rsrp(ue, cell->NextSlot())
                                      : std::vector<double>(static_cast<std::size_t>(swept), std::nan(""));
                array.values.insert(array.values.end(), row.begin(), row.end());
            }
            return array;
        },
        {{"ue", numUes}, {"beam", swept}});
    registry.Publish<Array<double>>("beam_frequency", "",
                                    "turns of phase from element to element, along rows of elements and along columns",
                                    [&codebook, all] {
                                        Array<double> array{{all, 2}, {}};
                                        for (std::uint32_t beam = 0; beam < all; ++beam) {
                                            const auto at = codebook.At(beam);
                                            array.values.insert(array.values.end(), {at.row, at.column});
                                        }
                                        return array;
                                    },
                                    {{"beam", all}, {"side", 2}});
    registry.Control<Array<std::int32_t>>(
        "beam", "", "the gNB's analog beam of each UE, whatever it reports; -1: by its reports",
        [this](const Array<std::int32_t>& given) { return SetBeams(given.values); }, {{"ue", numUes}});
    if (helper.UesHavePanels() && !cells.AreNetwork()) {
        registry.Control<Array<double>>(
            "ue_bearing", "degrees", "where the first panel of each UE faces, from the x axis towards y",
            [this](const Array<double>& degrees) { return SetBearings(degrees.values); }, {{"ue", numUes}});
    }
}

nr::Cell* NrAnalogBeams::CellOf(std::uint32_t ue) const {
    const auto cell = m_cells.ServingCell(ue);
    return cell ? ns3::PeekPointer(m_cells.All()[*cell]) : nullptr;
}

nr::BeamManagement::Pair NrAnalogBeams::ServingOf(nr::Cell& cell, std::uint32_t ue) const {
    return cell.GetBeamManagement().Serving(ue, cell.NextSlot());
}

std::string NrAnalogBeams::SetBeams(const std::vector<std::int32_t>& beams) {
    auto& codebook = m_cells.Front().GetBeamManagement().Codebook();
    const auto all = static_cast<std::int32_t>(codebook.NumBeams());
    for (std::uint32_t ue = 0; ue < beams.size(); ++ue) {
        if (beams[ue] < -1 || beams[ue] >= all) {
            return "beam: " + std::to_string(beams[ue]) + " of UE " + std::to_string(ue) + "; legal are 0 to " +
                   std::to_string(codebook.NumSweep() - 1) + " of the sweep, narrow ones to " +
                   std::to_string(all - 1) + ", and -1 for that of its reports";
        }
    }
    std::uint64_t slot = 0;
    for (std::uint32_t ue = 0; ue < beams.size(); ++ue) {
        if (nr::Cell* const cell = CellOf(ue)) {
            const auto beam = beams[ue] < 0 ? std::optional<std::uint32_t>() : static_cast<std::uint32_t>(beams[ue]);
            slot = std::max(slot, cell->GetBeamManagement().Give(ue, beam, cell->NextSlot()));
        }
    }
    m_controlled(slot);
    return {};
}

std::string NrAnalogBeams::SetBearings(const std::vector<double>& degrees) {
    for (std::uint32_t ue = 0; ue < degrees.size(); ++ue) {
        if (!std::isfinite(degrees[ue])) {
            return "ue_bearing: " + std::to_string(degrees[ue]) + " of UE " + std::to_string(ue) +
                   "; legal are finite numbers of degrees";
        }
    }
    for (std::uint32_t ue = 0; ue < degrees.size(); ++ue) {
        m_helper.GetUeArray(ue)->SetAlpha(std::remainder(degrees[ue], 360) * std::numbers::pi / 180);
    }
    m_controlled(m_cells.Front().NextSlot());
    return {};
}

} // namespace edgelam
