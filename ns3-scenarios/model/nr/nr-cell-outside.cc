// SPDX-License-Identifier: GPL-2.0-only
// What a cell is told from outside: shares and precoders, and interference.
#include <iomanip>
#include <sstream>
#include <stdexcept>

#include "nr-cell.h"

namespace edgelam::nr {

namespace {

constexpr float newest_interference = 0.1f; ///< weight of the newest slot in the mean of what was measured

/// With as many digits as tell 1 from 1 + 1e-9.
std::string Text(double value) {
    std::ostringstream text;
    text << std::setprecision(12) << value;
    return text.str();
}

} // namespace

std::uint64_t Cell::SetShares(const std::vector<double>& down, const std::vector<double>& up) {
    const auto schedulers = ExternalSchedulers("shares");
    for (const auto* shares : {&down, &up}) {
        double sum = 0;
        for (const double share : *shares) {
            if (!(share >= 0 && share <= 1)) {
                throw std::invalid_argument("NR cell: share " + Text(share) + "; legal are 0 to 1");
            }
            sum += share;
        }
        if (shares->size() != m_ues.size() || sum > 1 + 1e-9) {
            throw std::invalid_argument("NR cell: " + std::to_string(shares->size()) + " shares with a sum of " +
                                        Text(sum) + "; legal is one for each of the " + std::to_string(m_ues.size()) +
                                        " UEs, with a sum of at most 1");
        }
    }
    schedulers[0]->SetShares(down);
    schedulers[1]->SetShares(up);
    return NextSlot();
}

std::uint64_t Cell::SetLeastPrbs(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up) {
    const auto schedulers = ExternalSchedulers("least numbers of resource blocks");
    for (const auto* least : {&down, &up}) {
        std::uint64_t sum = 0;
        for (const auto prbs : *least) {
            if (prbs > m_numPrbs) {
                throw std::invalid_argument("NR cell: least number of resource blocks " + std::to_string(prbs) +
                                            "; legal are 0 to " + std::to_string(m_numPrbs));
            }
            sum += (std::uint64_t{prbs} + m_prbsPerGroup - 1) / m_prbsPerGroup;
        }
        if (least->size() != m_ues.size() || sum > m_numGroups) {
            throw std::invalid_argument("NR cell: " + std::to_string(least->size()) +
                                        " least numbers of resource blocks, together " + std::to_string(sum) +
                                        " groups of " + std::to_string(m_prbsPerGroup) +
                                        "; legal is one for each of the " + std::to_string(m_ues.size()) +
                                        " UEs, together at most " + std::to_string(m_numGroups) + " groups");
        }
    }
    const auto groups = [&](std::vector<std::uint32_t> prbs) {
        for (auto& each : prbs) {
            each = (each + m_prbsPerGroup - 1) / m_prbsPerGroup;
        }
        return prbs;
    };
    schedulers[0]->SetLeastGroups(groups(down));
    schedulers[1]->SetLeastGroups(groups(up));
    return NextSlot();
}

std::uint64_t Cell::SetPrbCaps(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up) {
    const auto schedulers = ExternalSchedulers("caps of resource blocks");
    for (const auto* caps : {&down, &up}) {
        for (const auto prbs : *caps) {
            if (prbs > m_numPrbs) {
                throw std::invalid_argument("NR cell: cap of " + std::to_string(prbs) +
                                            " resource blocks; legal are 0 to " + std::to_string(m_numPrbs) +
                                            ", which is no cap");
            }
        }
        if (caps->size() != m_ues.size()) {
            throw std::invalid_argument("NR cell: " + std::to_string(caps->size()) +
                                        " caps of resource blocks; legal is one for each of the " +
                                        std::to_string(m_ues.size()) + " UEs");
        }
    }
    schedulers[0]->SetCaps(down);
    schedulers[1]->SetCaps(up);
    return NextSlot();
}

std::uint64_t Cell::SetPrecoders(std::span<const std::complex<float>> weights) {
    const auto beamformer = ns3::DynamicCast<ExternalBeamformer>(m_beamformer);
    CheckExternal("precoders", "Beams", beamformer ? "external" : m_beamsName);
    const auto precoders = ReadPrecoders(weights, {m_ues.size(), m_numGroups, m_gnbArray->GetNumElems(), m_maxLayers});
    for (std::size_t i = 0; i < m_ues.size(); ++i) {
        if (precoders[i].layers > m_ues[i]->link.MaxLayers()) {
            throw std::invalid_argument("NR cell: a precoder of " + std::to_string(precoders[i].layers) +
                                        " layers for UE " + std::to_string(i) + "; its antennas allow 1 to " +
                                        std::to_string(m_ues[i]->link.MaxLayers()));
        }
    }
    for (std::size_t i = 0; i < m_ues.size(); ++i) {
        Ue& ue = *m_ues[i];
        if (precoders[i].layers > 0 || ue.link.GivenLayers() > 0) {
            beamformer->SetPrecoder(ue.number, precoders[i]);
            ue.reports.measured = ue.reports.pending = false; // a report comes with the first block
        }
    }
    return NextSlot();
}

std::array<ns3::Ptr<ExternalScheduler>, 2> Cell::ExternalSchedulers(const char* what) const {
    const std::array schedulers{ns3::DynamicCast<ExternalScheduler>(m_schedulerDown),
                                ns3::DynamicCast<ExternalScheduler>(m_schedulerUp)};
    CheckExternal(what, "Scheduler", schedulers[0] ? "external" : m_schedulerName);
    return schedulers;
}

void Cell::CheckExternal(const char* what, const char* attribute, const std::string& value) const {
    if (!m_channel) {
        throw std::logic_error(std::string("NR cell: SetGnb comes before ") + what);
    }
    if (value != "external") {
        throw std::invalid_argument(std::string("NR cell: ") + what + " with " + attribute + " '" + value +
                                    "'; legal is external");
    }
}

void Cell::SetInterference(std::shared_ptr<InterferenceSource> source) {
    m_interference = std::move(source);
    if (!m_interference) {
        for (auto& ue : m_ues) {
            ue->down.meanRise.clear();
            ue->up.meanRise.clear();
        }
    }
}

std::span<const float> Cell::Rise(Ue& ue, Direction direction, std::uint64_t slot) {
    if (!m_interference) {
        return {};
    }
    const bool down = direction == Direction::Downlink;
    m_rise.resize(m_offsetsHz.size());
    m_interference->GetPower(direction, ue.number, slot, m_rise);
    Side& side = down ? ue.down : ue.up;
    const auto noiseW = static_cast<float>(down ? m_noiseDownW : m_noiseUpW);
    const float weight = side.meanRise.empty() ? 1 : newest_interference;
    side.meanRise.resize(m_rise.size());
    for (std::size_t i = 0; i < m_rise.size(); ++i) {
        m_rise[i] = 1 + m_rise[i] / noiseW;
        side.meanRise[i] += weight * (m_rise[i] - side.meanRise[i]);
    }
    return m_rise;
}

} // namespace edgelam::nr
