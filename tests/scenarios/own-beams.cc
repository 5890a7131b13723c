// SPDX-License-Identifier: GPL-2.0-only
//
// A scheduler and a beamformer of one's own, outside edgelam: two UEs on every resource block group (multi-user MIMO),
// with weights that cancel what they do to each other (zero forcing). docs/nr-radio.md says what the interfaces mean.
#include <edgelam/nr-beamformer.h>
#include <edgelam/nr-helper.h>
#include <edgelam/nr-reports.h>
#include <edgelam/nr-scheduler.h>
#include <edgelam/nr-servers.h>
#include <edgelam/scenario.h>

#include <cmath>
#include <complex>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <vector>

#include "ns3/constant-position-mobility-model.h"
#include "ns3/node-container.h"
#include "ns3/string.h"

namespace nr = edgelam::nr;

/// Retransmissions first, each on groups of its own; new data of two UEs in turn on all the other groups together.
class PairScheduler : public nr::Scheduler {
  public:
    static ns3::TypeId GetTypeId() {
        static const ns3::TypeId tid =
            ns3::TypeId("own::PairScheduler").SetParent<nr::Scheduler>().AddConstructor<PairScheduler>();
        return tid;
    }

    void Allocate(const nr::SchedulingRequest& request, nr::Allocation& allocation) override {
        std::uint32_t next = 0;
        std::vector<std::uint32_t> fresh;
        for (std::uint32_t i = 0; i < request.candidates.size(); ++i) {
            const nr::Candidate& each = request.candidates[i];
            if (each.fixedGroups == 0) {
                fresh.push_back(i);
            } else if (each.fixedGroups <= request.numGroups - next) {
                for (std::uint32_t n = 0; n < each.fixedGroups; ++n) {
                    allocation[next++] = {i};
                }
            }
        }
        for (; next < request.numGroups && !fresh.empty(); ++next) {
            allocation[next].push_back(fresh[m_turn % fresh.size()]);
            if (fresh.size() > 1) {
                allocation[next].push_back(fresh[(m_turn + 1) % fresh.size()]);
            }
        }
        ++m_turn;
    }

  private:
    std::size_t m_turn = 0;
};
NS_OBJECT_ENSURE_REGISTERED(PairScheduler);

/// Each layer goes where its UE hears it best, but for what the other UEs hear of it.
class ZeroForcing : public nr::Beamformer {
  public:
    static ns3::TypeId GetTypeId() {
        static const ns3::TypeId tid =
            ns3::TypeId("own::ZeroForcing").SetParent<nr::Beamformer>().AddConstructor<ZeroForcing>();
        return tid;
    }

    void Form(std::uint32_t, std::span<const nr::ServedUe> ues, double power) override {
        double layers = 0;
        for (const auto& ue : ues) {
            layers += ue.layers;
        }
        for (const auto& ue : ues) {
            std::vector<Vector> others; // orthonormal: what the other UEs hear lies in their span
            for (const auto& other : ues) {
                for (unsigned l = 0; l < other.layers && other.ue != ue.ue; ++l) {
                    others.push_back(Normalised(Without(Heard(other, l), others)));
                }
            }
            for (unsigned l = 0; l < ue.layers; ++l) {
                const Vector weights = Normalised(Without(Heard(ue, l), others));
                for (std::size_t e = 0; e < ue.elements; ++e) {
                    ue.Weight(e, l) = std::complex<float>(std::sqrt(power / layers) * weights[e]);
                }
            }
        }
    }

  private:
    using Vector = std::vector<std::complex<double>>; ///< [element]

    /// H^H H b for the UE's beam b: the direction that its receiver, matched to the beam, hears.
    static Vector Heard(const nr::ServedUe& ue, unsigned beam) {
        Vector heard(ue.elements);
        for (std::size_t a = 0; a < ue.antennas; ++a) {
            std::complex<double> received = 0;
            for (std::size_t e = 0; e < ue.elements; ++e) {
                received += std::complex<double>(ue.Channel(a, e)) * std::complex<double>(ue.Beam(e, beam));
            }
            for (std::size_t e = 0; e < ue.elements; ++e) {
                heard[e] += std::conj(std::complex<double>(ue.Channel(a, e))) * received;
            }
        }
        return Normalised(heard);
    }
    static Vector Without(Vector v, const std::vector<Vector>& basis) {
        for (const auto& b : basis) {
            std::complex<double> dot = 0;
            for (std::size_t e = 0; e < v.size(); ++e) {
                dot += std::conj(b[e]) * v[e];
            }
            for (std::size_t e = 0; e < v.size(); ++e) {
                v[e] -= dot * b[e];
            }
        }
        return v;
    }
    static Vector Normalised(Vector v) {
        double power = 0;
        for (const auto& each : v) {
            power += std::norm(each);
        }
        for (auto& each : v) {
            each = power > 0 ? each / std::sqrt(power) : 0;
        }
        return v;
    }
};
NS_OBJECT_ENSURE_REGISTERED(ZeroForcing);

int main(int argc, char* argv[]) {
    edgelam::Scenario scenario("own-beams", "two UEs on every resource block group, with zero forcing");
    edgelam::NrHelper nr;
    nr.SetSchedulerTypeId("own::PairScheduler"); // the defaults of --scheduler and --beams
    nr.SetBeamformerTypeId("own::ZeroForcing");
    nr.AddOptions(scenario.options());
    edgelam::NrServers servers;
    servers.AddOptions(scenario.options());
    std::unique_ptr<edgelam::NrReports> reports; // lives as long as the run
    return scenario.Main(argc, argv, [&] {
        const ns3::NodeContainer nodes(3); // gNB, UEs
        const ns3::Vector places[] = {{0, 0, 10}, {60, 40, 1.5}, {70, -50, 1.5}};
        for (std::uint32_t i = 0; i < nodes.GetN(); ++i) {
            auto mobility = ns3::CreateObject<ns3::ConstantPositionMobilityModel>();
            mobility->SetPosition(places[i]);
            nodes.Get(i)->AggregateObject(mobility);
        }
        auto channel = ns3::CreateObject<edgelam::RadioChannel>();
        channel->SetAttribute("Deployment", ns3::StringValue("UMi"));
        nr.AssignStreams(1);
        try {
            nr.InstallGnb(nodes.Get(0), channel);
        } catch (const std::invalid_argument& error) { // settings that do not go together
            scenario.Refuse(error.what());
        }
        nr.InstallUe(nodes.Get(1));
        nr.InstallUe(nodes.Get(2));
        servers.Install(nr, scenario);
        reports = std::make_unique<edgelam::NrReports>(nr, scenario.registry());
    });
}
