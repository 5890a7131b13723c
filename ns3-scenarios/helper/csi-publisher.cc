// SPDX-License-Identifier: GPL-2.0-only
#include "csi-publisher.h"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "ns3/boolean.h"
#include "ns3/double.h"
#include "ns3/log.h"
#include "ns3/node.h"
#include "ns3/simulator.h"
#include "ns3/uinteger.h"
#include "ns3/uniform-planar-array.h"

#include "participant-time.h"

namespace edgelam {

NS_LOG_COMPONENT_DEFINE("EdgelamCsiPublisher");

NS_OBJECT_ENSURE_REGISTERED(CsiPublisher);

namespace {

constexpr double thermal_noise_dbm_hz = -173.975; ///< k T at 290 K

std::array<double, 3> ToArray(const ns3::Vector& v) {
    return {v.x, v.y, v.z};
}

CsiArray Describe(const ns3::PhasedArrayModel& array, const ns3::MobilityModel& mobility) {
    CsiArray out{array.GetNumRows(),
                 array.GetNumColumns(),
                 array.GetNumPols(),
                 mobility.GetObject<ns3::Node>()->GetId(),
                 std::numeric_limits<double>::quiet_NaN(),
                 std::numeric_limits<double>::quiet_NaN()};
    if (const auto* planar = dynamic_cast<const ns3::UniformPlanarArray*>(&array)) {
        out.vertical_spacing = planar->GetAntennaVerticalSpacing();
        out.horizontal_spacing = planar->GetAntennaHorizontalSpacing();
    }
    return out;
}

std::string Text(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.6g", value);
    return text;
}

} // namespace

std::vector<double> Tones(std::uint32_t count, double spacing_hz) {
    if (count == 0 || !(spacing_hz > 0 && std::isfinite(spacing_hz))) {
        throw std::invalid_argument(std::to_string(count) + " tones, " + Text(spacing_hz) +
                                    " Hz apart; legal are at least 1 tone, and a positive spacing");
    }
    std::vector<double> tones(count);
    for (std::uint32_t i = 0; i < count; ++i) {
        tones[i] = (i - 0.5 * (count - 1)) * spacing_hz;
    }
    return tones;
}

struct CsiPublisher::Link {
    std::string name;
    ns3::Ptr<RadioChannel> radio;
    ns3::Ptr<ChannelLink> channel;
    Direction direction;
    ns3::Ptr<ns3::MobilityModel> tx, rx;
    std::vector<double> tonesHz;
    CsiInfo info;
    std::unique_ptr<BlockFeed<std::complex<float>>> feed;
    std::size_t stateId = 0, raysId = 0;

    std::span<std::complex<float>> block; ///< being filled; empty without room
    std::size_t snapshotSize = 0;
    CsiState sampled{}, finished{};
    std::vector<Ray> sampledRays, finishedRays;
    bool anyFinished = false;

    void CheckFinished() const {
        if (!anyFinished) {
            throw std::runtime_error("no block is finished: the first is not complete yet");
        }
    }
};

ns3::TypeId CsiPublisher::GetTypeId() {
    static ns3::TypeId id =
        ns3::TypeId("edgelam::CsiPublisher")
            .SetParent<ns3::Object>()
            .SetGroupName("Edgelam")
            .AddConstructor<CsiPublisher>()
            .AddAttribute("Period", "Time between snapshots, above 0.", ns3::TimeValue(ns3::MicroSeconds(500)),
                          ns3::MakeTimeAccessor(&CsiPublisher::m_period), ns3::MakeTimeChecker())
            .AddAttribute("Snapshots", "Snapshots of a block, at least 1.", ns3::UintegerValue(1),
                          ns3::MakeUintegerAccessor(&CsiPublisher::m_snapshots),
                          ns3::MakeUintegerChecker<std::uint32_t>())
            .AddAttribute("TransmitPower", "Power of one transmitting element over all tones, for the SNR, dBm.",
                          ns3::DoubleValue(23), ns3::MakeDoubleAccessor(&CsiPublisher::m_transmitPowerDbm),
                          ns3::MakeDoubleChecker<double>(-200, 100))
            .AddAttribute("NoiseFigure", "Noise figure of the receiver, for the SNR, dB.", ns3::DoubleValue(5),
                          ns3::MakeDoubleAccessor(&CsiPublisher::m_noiseFigureDb),
                          ns3::MakeDoubleChecker<double>(0, 100))
            .AddAttribute("Rays", "Whether the rays at each block's first snapshot are published too.",
                          ns3::BooleanValue(false), ns3::MakeBooleanAccessor(&CsiPublisher::m_withRays),
                          ns3::MakeBooleanChecker())
            .AddTraceSource("BlockFinished",
                            "The last snapshot of a block has been taken of every link, and subscribers told; the next "
                            "block begins one Period later. The argument is the number of blocks so far.",
                            ns3::MakeTraceSourceAccessor(&CsiPublisher::m_finished),
                            "edgelam::CsiPublisher::BlockCallback");
    return id;
}

CsiPublisher::~CsiPublisher() = default;

void CsiPublisher::DoDispose() {
    m_event.Cancel();
    m_links.clear();
    ns3::Object::DoDispose();
}

void CsiPublisher::AddLink(const std::string& name, ns3::Ptr<RadioChannel> channel, ns3::Ptr<ns3::MobilityModel> tx,
                           ns3::Ptr<ns3::PhasedArrayModel> txArray, ns3::Ptr<ns3::MobilityModel> rx,
                           ns3::Ptr<ns3::PhasedArrayModel> rxArray, std::vector<double> tonesHz) {
    if (m_registry) {
        throw std::invalid_argument("link '" + name + "' is added after Start");
    }
    if (tonesHz.empty()) {
        throw std::invalid_argument("link '" + name + "' has no tones; legal is at least 1");
    }
    for (const double tone : tonesHz) {
        if (!std::isfinite(tone)) {
            throw std::invalid_argument("tone " + Text(tone) + " Hz of link '" + name +
                                        "'; legal are finite offsets from the carrier");
        }
    }
    auto link = std::make_shared<Link>();
    link->name = name;
    link->radio = channel;
    link->channel = channel->GetLink(tx, txArray, rx, rxArray);
    link->direction = link->channel->From(*tx);
    link->tx = tx;
    link->rx = rx;
    link->tonesHz = std::move(tonesHz);
    ns3::DoubleValue carrier;
    channel->GetAttribute("Frequency", carrier);
    link->info.carrier_hz = carrier.Get();
    link->info.rx = Describe(*rxArray, *rx);
    link->info.tx = Describe(*txArray, *tx);
    link->snapshotSize =
        link->channel->NumRx(link->direction) * link->channel->NumTx(link->direction) * link->tonesHz.size();
    m_links.push_back(std::move(link));
}

void CsiPublisher::Start(Registry& registry) {
    if (m_links.empty() || m_snapshots == 0 || !m_period.IsStrictlyPositive()) {
        throw std::invalid_argument("CsiPublisher with " + std::to_string(m_links.size()) + " links, Snapshots " +
                                    std::to_string(m_snapshots) + ", Period " + Text(m_period.GetSeconds()) +
                                    " s; legal are at least 1 link, at least 1 snapshot and a period above 0");
    }
    m_registry = &registry;
    NS_LOG_INFO(m_links.size() << " links, " << m_snapshots << " snapshots in a block, one every "
                               << m_period.As(ns3::Time::MS));
    for (const auto& link : m_links) {
        Publish(registry, link);
    }
    m_event = ns3::Simulator::ScheduleNow(&CsiPublisher::Sample, this);
}

void CsiPublisher::Publish(Registry& registry, const std::shared_ptr<Link>& self) {
    Link& link = *self;
    const std::int64_t blockNs = m_period.GetNanoSeconds() * m_snapshots;
    const auto size = [](std::size_t n) { return static_cast<std::int64_t>(n); };
    const auto numTones = size(link.tonesHz.size());
    const double bandwidthHz =
        numTones > 1 ? (link.tonesHz.back() - link.tonesHz.front()) * static_cast<double>(numTones) / (numTones - 1)
                     : 1;
    link.info.snapshot_period_s = m_period.GetSeconds();
    link.info.transmit_power_dbm = m_transmitPowerDbm;
    link.info.noise_dbm = thermal_noise_dbm_hz + 10 * std::log10(std::abs(bandwidthHz)) + m_noiseFigureDb;
    link.feed = std::make_unique<BlockFeed<std::complex<float>>>(
        registry, "csi/" + link.name, "",
        "frequency response between elements, amplitudes: newest finished block of snapshots",
        std::vector<Axis>{{"time", m_snapshots},
                          {"rx", size(link.channel->NumRx(link.direction))},
                          {"tx", size(link.channel->NumTx(link.direction))},
                          {"subcarrier", numTones}},
        blockNs);
    // The reading functions may be called after this publisher has gone: they hold the link.
    link.stateId = registry.Publish<CsiState>(
        "csi-state/" + link.name, "", "both ends at the first snapshot of the newest finished block; its gain and SNR",
        [self] {
            self->CheckFinished();
            return self->finished;
        });
    registry.SetPeriod(link.stateId, blockNs);
    registry.Publish<CsiInfo>("csi-info/" + link.name, "", "carrier, period, powers, arrays",
                              [self] { return self->info; });
    registry.Publish<std::vector<double>>("csi-tones/" + link.name, "Hz", "subcarriers, from the carrier",
                                          [self] { return self->tonesHz; }, {{"subcarrier", numTones}});
    if (m_withRays) {
        link.raysId = registry.Publish<std::vector<Ray>>("rays/" + link.name, "",
                                                         "paths at the first snapshot of the newest finished block",
                                                         [self] {
                                                             self->CheckFinished();
                                                             return self->finishedRays;
                                                         },
                                                         {{"ray", -1}});
        registry.SetPeriod(link.raysId, blockNs);
    }
}

void CsiPublisher::Sample() {
    m_event = ns3::Simulator::Schedule(m_period, &CsiPublisher::Sample, this);
    const bool first = m_snapshot == 0, last = m_snapshot + 1 == m_snapshots;
    for (const auto& link : m_links) {
        if (first) {
            BeginBlock(*link);
        }
        if (!link->block.empty()) {
            link->channel->GetFrequencyResponse(
                link->direction, link->tonesHz,
                link->block.subspan(m_snapshot * link->snapshotSize, link->snapshotSize));
        }
    }
    m_snapshot = last ? 0 : m_snapshot + 1;
    if (last) {
        ++m_blocks;
        for (const auto& link : m_links) {
            FinishBlock(*link);
        }
        m_finished(m_blocks);
    }
}

void CsiPublisher::BeginBlock(Link& link) {
    link.block = link.feed->Begin();
    CsiState& state = link.sampled;
    state.time_s = ns3::NanoSeconds(NowNs()).GetSeconds();
    state.rx_position_m = ToArray(link.rx->GetPosition());
    state.rx_velocity_mps = ToArray(link.rx->GetVelocity());
    state.tx_position_m = ToArray(link.tx->GetPosition());
    state.tx_velocity_mps = ToArray(link.tx->GetVelocity());
    state.speed_mps = (link.rx->GetVelocity() - link.tx->GetVelocity()).GetLength();
    state.link = link.channel->GetState();
    if (m_withRays) {
        link.sampledRays = link.channel->GetRays();
    }
}

void CsiPublisher::FinishBlock(Link& link) {
    double power = 0;
    for (const auto& h : link.block) {
        power += std::norm(h);
    }
    CsiState& state = link.sampled;
    state.mean_gain_db = 10 * std::log10(power / static_cast<double>(std::max<std::size_t>(link.block.size(), 1)));
    state.snr_db = m_transmitPowerDbm + state.mean_gain_db - link.info.noise_dbm;
    link.finished = state;
    link.finishedRays.swap(link.sampledRays);
    link.anyFinished = true;
    const std::int64_t nowNs = NowNs();
    link.feed->Finish(nowNs);
    m_registry->Announce(link.stateId, nowNs);
    if (m_withRays) {
        m_registry->Announce(link.raysId, nowNs);
    }
}

} // namespace edgelam
