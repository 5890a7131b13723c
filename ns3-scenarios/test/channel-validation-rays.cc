// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Clusters and rays over many drops: spreads of delays and angles against what was drawn and against ns-3's own
/// ThreeGppChannelModel.

#include <array>

#include "ns3/channel-condition-model.h"
#include "ns3/three-gpp-channel-model.h"

#include "channel-validation.h"

namespace edgelam::test {

namespace {

using ns3::Vector;

constexpr double deg = std::numbers::pi / 180;

/// Spreads of a set of rays: rms delay in s, circular azimuth spreads (TR 38.901 annex A.1) and mean zeniths in
/// degrees.
struct Spreads {
    double delay, aoa, aod, zoa, zod;
};

Spreads SpreadsOf(const std::vector<Ray>& rays) {
    double power = 0, delay = 0, delay2 = 0, zoa = 0, zod = 0;
    Complex aoa = 0, aod = 0;
    for (const auto& ray : rays) {
        power += ray.gain;
        delay += ray.gain * ray.delay_s;
        delay2 += ray.gain * ray.delay_s * ray.delay_s;
        zoa += ray.gain * ray.zoa_deg;
        zod += ray.gain * ray.zod_deg;
        aoa += std::polar(ray.gain, ray.aoa_deg * deg);
        aod += std::polar(ray.gain, ray.aod_deg * deg);
    }
    const auto circular = [&](Complex sum) { return std::sqrt(-2 * std::log(std::abs(sum) / power)) / deg; };
    return {std::sqrt(std::max(0.0, delay2 / power - std::pow(delay / power, 2))), circular(aoa), circular(aod),
            zoa / power, zod / power};
}

/// The rays of ns-3's channel model.
class Wheel : public ns3::ThreeGppChannelModel {
  public:
    void Configure(const std::string& scenario, double frequency) {
        SetAttribute("Scenario", ns3::StringValue(scenario));
        SetAttribute("Frequency", ns3::DoubleValue(frequency));
        AssignStreams(1000);
    }
    /// With the large-scale parameters of \p drawn. (The spread of rays in zenith of departure, 3/8 of the median ZSD,
    /// comes out as 3/8 of the drawn one: no matter, for only the mean of those zeniths is compared.)
    std::vector<Ray> Draw(const End& bs, const End& ut, LinkCondition condition, const LinkState& drawn) const {
        auto state = ns3::CreateObject<ns3::ChannelCondition>();
        state->SetLosCondition(condition == LinkCondition::Los ? ns3::ChannelCondition::LOS
                                                               : ns3::ChannelCondition::NLOS);
        state->SetO2iCondition(condition == LinkCondition::O2i ? ns3::ChannelCondition::O2I
                                                               : ns3::ChannelCondition::O2O);
        const auto table = ns3::Create<ParamsTable>(*GetThreeGppTable(bs.mobility, ut.mobility, state));
        table->m_uLgDS = std::log10(drawn.delay_spread_s);
        table->m_uLgASA = std::log10(drawn.asa_deg);
        table->m_uLgASD = std::log10(drawn.asd_deg);
        table->m_uLgZSA = std::log10(drawn.zsa_deg);
        table->m_uLgZSD = std::log10(drawn.zsd_deg);
        table->m_uK = drawn.k_factor_db;
        table->m_sigLgDS = table->m_sigLgASA = table->m_sigLgASD = table->m_sigLgZSA = table->m_sigLgZSD = 0;
        table->m_sigK = 0;
        const auto p = GenerateChannelParameters(state, table, bs.mobility, ut.mobility);
        const double k = condition == LinkCondition::Los ? std::pow(10, p->m_K_factor / 10) : 0;
        std::vector<Ray> rays;
        double total = 0;
        for (std::size_t n = 0; n < p->m_reducedClusterNumber; ++n) {
            total += p->m_clusterPower[n];
        }
        for (std::size_t n = 0; n < p->m_reducedClusterNumber; ++n) {
            for (std::size_t m = 0; m < 20; ++m) {
                // Table 7.5-5: of the two strongest clusters, rays 9-12, 17, 18 come later, and 13-16 later still.
                const bool strong = n == p->m_cluster1st || n == p->m_cluster2nd;
                const int part = (m >= 8 && m < 12) || m == 16 || m == 17 ? 1 : m >= 12 && m < 16 ? 2 : 0;
                rays.push_back({p->m_delay[n] + strong * 1.28 * part * table->m_cDS,
                                p->m_clusterPower[n] / total / 20 / (k + 1), 0, p->m_rayAodRadian[n][m] / deg,
                                p->m_rayZodRadian[n][m] / deg, p->m_rayAoaRadian[n][m] / deg,
                                p->m_rayZoaRadian[n][m] / deg, static_cast<std::uint32_t>(n)});
            }
        }
        if (condition == LinkCondition::Los) {
            const ns3::Angles out(ut.mobility->GetPosition(), bs.mobility->GetPosition());
            const ns3::Angles in(bs.mobility->GetPosition(), ut.mobility->GetPosition());
            rays.push_back({0, k / (k + 1), 0, out.GetAzimuth() / deg, out.GetInclination() / deg,
                            in.GetAzimuth() / deg, in.GetInclination() / deg, 255});
        }
        return rays;
    }
};

struct Realised {
    std::vector<double> delay, aoa, aod, zoa, zod;
    void Add(const Spreads& spreads, const LinkState& drawn) {
        delay.push_back(std::log10(spreads.delay / drawn.delay_spread_s));
        aoa.push_back(std::log10(spreads.aoa / drawn.asa_deg));
        aod.push_back(std::log10(spreads.aod / drawn.asd_deg));
        zoa.push_back(spreads.zoa);
        zod.push_back(spreads.zod);
    }
};

/// What the rays' spreads turn out to be, relative to what was drawn, against what ns-3's ThreeGppChannelModel makes of
/// the same large-scale parameters (two samples, Kolmogorov-Smirnov at 0.1 %).
///
/// Without line of sight, the drawn spreads are met in the mean: delays within 12 %, azimuths of arrival within 35 %
/// (those of the rays within a cluster come on top). In line of sight they are not, in neither model: the report's
/// cubic fits, eq. 7.5-3, 7.5-10 and 7.5-15, leave UMa's azimuths of arrival at 40 % of what was drawn.
void RealisedSpreads(Case& test) {
    struct Row {
        const char *deployment, *scenario;
        LinkCondition condition;
        double cellM, bsHeight;
        int x, y;
    };
    const Row rows[]{{"UMa", "UMa", LinkCondition::Nlos, 50, 25, 3, 2},
                     {"UMa", "UMa", LinkCondition::Los, 40, 25, 3, -3},
                     {"UMa", "UMa", LinkCondition::O2i, 15, 25, 3, 4},
                     {"UMi", "UMi-StreetCanyon", LinkCondition::Nlos, 15, 10, -5, 2},
                     {"UMi", "UMi-StreetCanyon", LinkCondition::Los, 12, 10, 4, 3},
                     {"InH-Open", "InH-OfficeOpen", LinkCondition::Nlos, 10, 3, 3, 1},
                     {"InH-Open", "InH-OfficeOpen", LinkCondition::Nlos, 2.5, 3, 6, 4}}; // near: a finer square
    for (const auto& row : rows) {
        const bool los = row.condition == LinkCondition::Los, indoors = row.condition == LinkCondition::O2i;
        const auto channel = MakeChannel({.deployment = row.deployment,
                                          .los = los ? "Always" : "Never",
                                          .frequency = 28e9,
                                          .stream = 14,
                                          .shadowing = false});
        if (indoors) {
            channel->SetAttribute("IndoorFraction", ns3::DoubleValue(1));
        }
        const auto bs = MakeEnd({0, 0, row.bsHeight}),
                   ut = MakeEnd({(row.x + 0.5) * row.cellM, (row.y + 0.5) * row.cellM, 1.5});
        const auto link = Link(channel, bs, ut);
        const auto wheel = ns3::CreateObject<Wheel>();
        wheel->Configure(row.scenario, 28e9);
        Realised ours, theirs;
        double worstK = 0;
        const int drops = 1200;
        for (int i = 0; i < drops; ++i) {
            channel->Redraw(ut.mobility);
            const auto rays = link->GetRays();
            const auto state = link->GetState();
            ours.Add(SpreadsOf(rays), state);
            theirs.Add(SpreadsOf(wheel->Draw(bs, ut, row.condition, state)), state);
            if (los) { // the direct ray is the first
                double rest = 0;
                for (std::size_t r = 1; r < rays.size(); ++r) {
                    rest += rays[r].gain;
                }
                worstK = std::max(worstK, std::abs(10 * std::log10(rays[0].gain / rest) - state.k_factor_db));
            }
        }
        const std::string what = std::string(row.deployment) + (los ? " LOS, " : indoors ? " O2I, " : " NLOS, ");
        const auto compare = [&](const std::vector<double>& a, const std::vector<double>& b, const char* name) {
            const double ratio = KolmogorovRatio(a, b);
            const auto [meanA, stdA] = Moments(a);
            const auto [meanB, stdB] = Moments(b);
            const auto text = what + name + ": " + std::to_string(ratio) + " of the limit; mean and deviation " +
                              std::to_string(meanA) + ", " + std::to_string(stdA) + "; ns-3's " +
                              std::to_string(meanB) + ", " + std::to_string(stdB);
            test.True(ratio < 1, text);
        };
        compare(ours.delay, theirs.delay, "lg of rms delay spread over the drawn one");
        compare(ours.aoa, theirs.aoa, "lg of azimuth spread of arrival over the drawn one");
        compare(ours.aod, theirs.aod, "lg of azimuth spread of departure over the drawn one");
        compare(ours.zoa, theirs.zoa, "mean zenith of arrival");
        compare(ours.zod, theirs.zod, "mean zenith of departure");
        if (!los) {
            test.Near(Moments(ours.delay).first, 0, std::log10(1.12), what + "rms delay spread over the drawn one");
            test.Near(Moments(ours.aoa).first, 0, std::log10(1.35), what + "azimuth spread over the drawn one");
        }
        test.Near(worstK, 0, 1e-3, what + "power of the direct ray over the rest is the K-factor, dB");
    }
}

/// The strongest cluster without line of sight (UMi, 28 GHz): the term of its power in eq. 7.5-9 and 7.5-14 is zero, so
/// its centre lies a normal variable with a seventh of the spread beside the straight line (Kolmogorov-Smirnov, 0.1 %;
/// departures in zenith beside mu_offset of table 7.5-8), and its rays come in three parts, 1.28 and 2.56 times 11 ns
/// later (eq. 7.5-26).
void StrongestCluster(Case& test) {
    const auto channel =
        MakeChannel({.deployment = "UMi", .los = "Never", .frequency = 28e9, .stream = 15, .shadowing = false});
    const Vector place(-67.5, 37.5, 1.5); // the centre of a cell
    const auto bs = MakeEnd({0, 0, 10}), ut = MakeEnd(place);
    const auto link = Link(channel, bs, ut);
    const double distance = std::hypot(place.x, place.y), down = std::atan2(8.5, distance) / deg;
    const double toBs = std::atan2(-place.y, -place.x) / deg, toUt = std::atan2(place.y, place.x) / deg;
    const double zodOffset = -std::pow(10, -1.5 * std::log10(distance) + 3.3);
    std::array<std::vector<double>, 4> samples;
    double worst = 0;
    for (int drop = 0; drop < 1500; ++drop) {
        channel->Redraw(ut.mobility);
        auto rays = link->GetRays();
        std::stable_sort(rays.begin(), rays.end(), [](const Ray& a, const Ray& b) { return a.gain > b.gain; });
        rays.resize(20); // all of one power
        std::sort(rays.begin(), rays.end(), [](const Ray& a, const Ray& b) { return a.delay_s < b.delay_s; });
        for (std::size_t m = 0; m < 20; ++m) {
            const double later = m < 10 ? 0 : m < 16 ? 1.28 * 11e-9 : 2.56 * 11e-9;
            worst = std::max(worst, std::abs(rays[m].delay_s - rays[0].delay_s - later));
        }
        const auto state = link->GetState();
        std::array<double, 4> mean{};
        for (const auto& ray : rays) {
            mean[0] += std::remainder(ray.aoa_deg - toBs, 360) / 20;
            mean[1] += std::remainder(ray.aod_deg - toUt, 360) / 20;
            mean[2] += (ray.zoa_deg - (90 - down)) / 20;
            mean[3] += (ray.zod_deg - (90 + down + zodOffset)) / 20;
        }
        const std::array spreads{state.asa_deg, state.asd_deg, state.zsa_deg, state.zsd_deg};
        for (std::size_t i = 0; i < 4; ++i) {
            samples[i].push_back(mean[i] / (spreads[i] / 7));
        }
    }
    test.Near(worst, 0, 1e-13, "delays of the parts, s");
    const char* const names[]{"azimuth of arrival", "azimuth of departure", "zenith of arrival", "zenith of departure"};
    for (std::size_t i = 0; i < 4; ++i) {
        const double ratio = KolmogorovRatio(samples[i], [](double x) { return NormalDistribution(x, 0, 1); });
        test.True(ratio < 1, std::string(names[i]) + ": " + std::to_string(ratio) + " of the limit");
    }
}

} // namespace

std::vector<NamedCase> RayCases() {
    return {{"spreads of the rays", RealisedSpreads}, {"the strongest cluster", StrongestCluster}};
}

} // namespace edgelam::test
