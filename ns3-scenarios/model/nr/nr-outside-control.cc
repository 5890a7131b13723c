// SPDX-License-Identifier: GPL-2.0-only
#include "nr-outside-control.h"

#include <iomanip>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("NrOutsideControl");

namespace edgelam::nr {

namespace {

/// With as many digits as tell 1 from 1 + 1e-9.
std::string Text(double value) {
    std::ostringstream text;
    text << std::setprecision(12) << value;
    return text.str();
}

[[noreturn]] void Refuse(const std::string& what, const std::string& attribute, const std::string& value,
                         const ns3::TypeId& external) {
    throw std::invalid_argument("NR cell: " + what + " with " + attribute + " '" + value +
                                "'; legal is external, or a class derived from " + external.GetName());
}

} // namespace

std::array<ns3::Ptr<ExternalScheduler>, 2> OutsideControl::Schedulers(const char* what) const {
    const std::array schedulers{ns3::DynamicCast<ExternalScheduler>(m_grants.GetScheduler(Direction::Downlink)),
                                ns3::DynamicCast<ExternalScheduler>(m_grants.GetScheduler(Direction::Uplink))};
    if (!schedulers[0]) {
        Refuse(what, "Scheduler", m_carrier.settings.scheduler, ExternalScheduler::GetTypeId());
    }
    NS_LOG_INFO(what);
    return schedulers;
}

std::function<void()> OutsideControl::Shares(const std::vector<double>& down, const std::vector<double>& up) const {
    const auto schedulers = Schedulers("shares");
    for (const auto* shares : {&down, &up}) {
        double sum = 0;
        for (std::uint32_t ue = 0; ue < shares->size(); ++ue) {
            const double share = (*shares)[ue];
            if (!(share >= 0 && share <= 1)) {
                throw std::invalid_argument("NR cell: share " + Text(share) + "; legal are 0 to 1");
            }
            sum += m_links.Has(ue) ? share : 0;
        }
        if (shares->size() != m_links.NumNumbers() || sum > 1 + 1e-9) {
            throw std::invalid_argument("NR cell: " + std::to_string(shares->size()) + " shares with a sum of " +
                                        Text(sum) + "; legal is one for each of the " +
                                        std::to_string(m_links.NumNumbers()) + " UEs, with a sum of at most 1");
        }
    }
    return [schedulers, down, up] {
        schedulers[0]->SetShares(down);
        schedulers[1]->SetShares(up);
    };
}

std::function<void()> OutsideControl::LeastPrbs(const std::vector<std::uint32_t>& down,
                                                const std::vector<std::uint32_t>& up) const {
    const auto schedulers = Schedulers("least numbers of resource blocks");
    for (const auto* least : {&down, &up}) {
        std::uint64_t sum = 0;
        for (std::uint32_t ue = 0; ue < least->size(); ++ue) {
            const std::uint32_t prbs = (*least)[ue];
            if (prbs > m_carrier.numPrbs) {
                throw std::invalid_argument("NR cell: least number of resource blocks " + std::to_string(prbs) +
                                            "; legal are 0 to " + std::to_string(m_carrier.numPrbs));
            }
            sum += m_links.Has(ue) ? (std::uint64_t{prbs} + m_carrier.prbsPerGroup - 1) / m_carrier.prbsPerGroup : 0;
        }
        if (least->size() != m_links.NumNumbers() || sum > m_carrier.numGroups) {
            throw std::invalid_argument("NR cell: " + std::to_string(least->size()) +
                                        " least numbers of resource blocks, together " + std::to_string(sum) +
                                        " groups of " + std::to_string(m_carrier.prbsPerGroup) +
                                        "; legal is one for each of the " + std::to_string(m_links.NumNumbers()) +
                                        " UEs, together at most " + std::to_string(m_carrier.numGroups) + " groups");
        }
    }
    const auto groups = [&](std::vector<std::uint32_t> prbs) {
        for (auto& each : prbs) {
            each = (each + m_carrier.prbsPerGroup - 1) / m_carrier.prbsPerGroup;
        }
        return prbs;
    };
    return [schedulers, down = groups(down), up = groups(up)] {
        schedulers[0]->SetLeastGroups(down);
        schedulers[1]->SetLeastGroups(up);
    };
}

std::function<void()> OutsideControl::PrbCaps(const std::vector<std::uint32_t>& down,
                                              const std::vector<std::uint32_t>& up) const {
    const auto schedulers = Schedulers("caps of resource blocks");
    for (const auto* caps : {&down, &up}) {
        for (const auto prbs : *caps) {
            if (prbs > m_carrier.numPrbs) {
                throw std::invalid_argument("NR cell: cap of " + std::to_string(prbs) +
                                            " resource blocks; legal are 0 to " + std::to_string(m_carrier.numPrbs) +
                                            ", which is no cap");
            }
        }
        if (caps->size() != m_links.NumNumbers()) {
            throw std::invalid_argument("NR cell: " + std::to_string(caps->size()) +
                                        " caps of resource blocks; legal is one for each of the " +
                                        std::to_string(m_links.NumNumbers()) + " UEs");
        }
    }
    return [schedulers, down, up] {
        schedulers[0]->SetCaps(down);
        schedulers[1]->SetCaps(up);
    };
}

std::function<void()> OutsideControl::Precoders(std::span<const UeWeights> weights) const {
    const auto beamformer = ns3::DynamicCast<ExternalBeamformer>(m_beamformer);
    if (!beamformer) {
        Refuse("precoders", "Beams", m_carrier.settings.beams, ExternalBeamformer::GetTypeId());
    }
    SharedPrecoders together{{}, m_carrier.MostSharedLayers(), beamformer->LimitsElements()};
    for (std::uint32_t i = 0; i < m_links.NumNumbers(); ++i) {
        together.counts.push_back(m_links.Has(i));
    }
    auto precoders = ReadPrecoders(weights, Shape(), beamformer->Together() ? &together : nullptr);
    for (std::uint32_t i = 0; i < m_links.NumNumbers(); ++i) {
        if (m_links.Has(i) && precoders[i].layers > m_links.Of(i).MaxLayers()) {
            throw std::invalid_argument("NR cell: a precoder of " + std::to_string(precoders[i].layers) +
                                        " layers for UE " + std::to_string(i) + "; its antennas allow 1 to " +
                                        std::to_string(m_links.Of(i).MaxLayers()));
        }
    }
    return [this, beamformer, precoders = std::move(precoders)] {
        for (const auto ue : m_links.Ues()) {
            if (precoders[ue].layers > 0 || beamformer->GivenLayers(ue) > 0) {
                beamformer->SetPrecoder(ue, precoders[ue]);
                m_links.ForgetReport(ue); // a report comes with the first block
            }
        }
        NS_LOG_INFO("precoders of " << m_links.NumUes() << " UEs");
    };
}

void OutsideControl::Forget(std::uint32_t ue) const {
    if (const auto beamformer = ns3::DynamicCast<ExternalBeamformer>(m_beamformer)) {
        beamformer->SetPrecoder(ue, {});
    }
}

} // namespace edgelam::nr
