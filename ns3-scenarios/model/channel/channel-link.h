// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One link of a RadioChannel: what a radio, or a user of CSI, can ask.
#pragma once

#include <complex>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ns3/mobility-model.h"
#include "ns3/phased-array-model.h"
#include "ns3/simple-ref-count.h"

#include "array-response.h"
#include "channel-environment.h"
#include "edgelam/bridge/schema.h"
#include "ray-window.h"
#include "user-surroundings.h"
#include "wrap-around.h"

namespace edgelam {

class RadioChannel;

/// A link at one moment. If its states are mixed (`los` or `indoor` between 0 and 1), all values except `gain_db`
/// are those of the state with the largest weight.
struct LinkState {
    double distance_2d_m, distance_3d_m;
    double los;            ///< 0 to 1: weight of line of sight of the outdoor part (soft state, TR 38.901 7.6.3.3)
    double indoor;         ///< 0 to 1: weight of the user being indoors
    double path_loss_db;   ///< without the next three
    double shadowing_db;   ///< positive: more power is received
    double penetration_db; ///< of the building, 0 outdoors
    double absorption_db;  ///< of the air
    double gain_db;        ///< all of them together, over all states; no antennas, no fading: negative
    double k_factor_db;    ///< NaN without line of sight
    double delay_spread_s; ///< drawn large-scale parameters: this, and the four angular spreads in degrees
    double asd_deg, asa_deg, zsd_deg, zsa_deg;
};
EDGELAM_MESSAGE(LinkState, distance_2d_m, distance_3d_m, los, indoor, path_loss_db, shadowing_db, penetration_db,
                absorption_db, gain_db, k_factor_db, delay_spread_s, asd_deg, asa_deg, zsd_deg, zsa_deg)

/// One path at one moment. Departure is at the base station, arrival at the user; azimuth from the x axis towards y,
/// zenith from straight up.
struct Ray {
    double delay_s;    ///< relative to the straight line; a little below 0 is possible for a drifted ray
    double gain;       ///< sum over all pairs of elements of |coefficient|^2, large-scale gain included
    double doppler_hz; ///< for the present velocities of both ends
    double aod_deg, zod_deg, aoa_deg, zoa_deg;
    std::uint32_t tap; ///< rays of one tap have one delay
};
EDGELAM_MESSAGE(Ray, delay_s, gain, doppler_hz, aod_deg, zod_deg, aoa_deg, zoa_deg, tap)

/// Which gain of the antennas a mean received power is taken with (ChannelLink::GetPortGain).
enum class AntennaGain : std::uint8_t {
    Rays,     ///< of each ray in its direction: TR 36.873 eq. 8.1-1
    Mean,     ///< averaged over the spreads of the link's angles; nothing is drawn
    Direction ///< towards the other end, along the straight line; polarisations do not matter
};

/// Which end transmits.
enum class Direction : std::uint8_t {
    Downlink, ///< from the base station (the higher antenna) to the user
    Uplink    ///< from the user to the base station
};

/// All functions answer for the present positions (ns3::MobilityModel::GetPosition) and array orientations.
class ChannelLink : public ns3::SimpleRefCount<ChannelLink> {
  public:
    /// Use RadioChannel::GetLink.
    ChannelLink(RadioChannel& channel, ns3::Ptr<ns3::MobilityModel> baseStation,
                ns3::Ptr<ns3::PhasedArrayModel> bsArray, ns3::Ptr<ns3::MobilityModel> user,
                ns3::Ptr<ns3::PhasedArrayModel> utArray);
    ~ChannelLink();

    /// The direction in which this node transmits. Throws std::invalid_argument if it is not an end of the link.
    Direction From(const ns3::MobilityModel& transmitter) const;
    const ns3::Ptr<ns3::MobilityModel>& GetBaseStation() const { return m_bs; }
    const ns3::Ptr<ns3::MobilityModel>& GetUser() const { return m_ut; }
    const ns3::Ptr<ns3::PhasedArrayModel>& GetBaseStationArray() const { return m_bsArray; }
    /// Where the ends are.
    ns3::Vector GetUserPlace() const { return m_held ? m_utPlace : m_ut->GetPosition(); }
    ns3::Vector GetBaseStationPlace() const { return m_held ? m_bsPlace : m_bs->GetPosition(); }
    std::size_t NumRx(Direction direction) const;
    std::size_t NumTx(Direction direction) const;

    /// For work on several threads: look at places and arrays, so that until Release the functions below do not look at
    /// a node. Place comes before them. Then any thread may call them, one at a time for each link; reference counts
    /// of ns-3 are not atomic, so nothing in them copies a Ptr. Throws std::logic_error over surfaces, which links
    /// share.
    void Hold();
    /// Work out the large-scale state of a held link, and find the drops that it takes part in. On any thread.
    void Place() { PlaceParts(); }
    /// Whether drops of a held link have not been taken, or not been drawn.
    bool LacksDrops() const;
    /// Take the drops that a held link lacks, which links share: on one thread, in the same order in each run.
    /// \param undrawn where to put those that are to be drawn before anything is asked of the link
    void TakeDrops(std::vector<std::shared_ptr<ClusterDrop>>& undrawn);
    /// For work on several threads with channels that have been computed at these places: until Release, what is kept
    /// holds without a look, and what is not kept throws std::logic_error.
    void Freeze() { m_frozen = true; }
    void Release() { m_held = m_frozen = false; }
    /// Whether Hold is possible.
    bool CanBeHeld() const { return !IsOverSurface(); }

    /// Large-scale state; does not draw clusters. Throws std::invalid_argument if both ends are at one point.
    LinkState GetState();
    /// Large-scale gain, linear: all of LinkState::gain_db.
    double GetLargeScaleGain();
    /// What screens (RadioChannel::SetScreens) leave of the amplitude of the direct path, whether there is one or not.
    double GetDirectBlockage();
    /// Every path, with the gains of the present arrays. Reflecting surfaces are left out.
    std::vector<Ray> GetRays();
    /// Power gain from the first port of the base station's array (its first element) to one antenna of the user: the
    /// mean over the user's antennas and over small-scale fading, large-scale gain included. Transmit power times this
    /// is the received power of a reference signal (RSRP, TS 38.215 5.1.1). Surfaces are left out. Rays that are made
    /// for this alone are not kept.
    double GetPortGain(AntennaGain gain);

    /// H(f), from every transmitting to every receiving element, large-scale gain and element patterns included:
    /// the received amplitude for a transmitted one of 1 (square root of a power ratio).
    /// \param frequencyOffsetsHz relative to the carrier
    /// \param out complex64 [rx, tx, subcarrier], C order; throws std::invalid_argument for another size
    /// Time zero is the arrival over the straight line. H in one direction is the transpose of H in the other.
    void GetFrequencyResponse(Direction direction, std::span<const double> frequencyOffsetsHz,
                              std::span<std::complex<float>> out);

    /// rxWeights^T H(f) txWeights at each frequency, complex64 [rx port, tx port, frequency] (weights are not
    /// conjugated). Kept until an end has moved by the channel's CoherenceDistance, a surface, an array or the
    /// environment changes; for the 16 combinations of weights and frequencies used last. The reference holds until the
    /// next call.
    const std::vector<std::complex<float>>& GetEffectiveChannel(Direction direction, const PortWeights& rxWeights,
                                                                const PortWeights& txWeights,
                                                                std::span<const double> frequencyOffsetsHz);
    /// The answer of GetEffectiveChannel if it is kept, or null.
    const std::vector<std::complex<float>>* FindEffectiveChannel(Direction direction, const PortWeights& rxWeights,
                                                                 const PortWeights& txWeights,
                                                                 std::span<const double> frequencyOffsetsHz);
    /// GetFrequencyResponse to the user in another order, for who takes a few frequencies of all elements: complex64
    /// [chunk of 4 frequencies, user element, base-station element, 4], whose last chunk has any values beyond the last
    /// frequency. Kept like GetEffectiveChannel, but for this many CoherenceDistances and for the frequencies used last
    /// only. The reference holds until the next call.
    const std::vector<std::complex<float>>& GetKeptResponse(std::span<const double> frequencyOffsetsHz, double times);
    /// The answer of GetKeptResponse if it is kept, or null.
    const std::vector<std::complex<float>>* FindKeptResponse(std::span<const double> frequencyOffsetsHz, double times);
    /// Identifies the last result of GetEffectiveChannel: another number, above 0, for each time values were computed.
    std::uint64_t GetEffectiveVersion() const { return m_effective.empty() ? 0 : m_effective.front().version; }

    /// Power gain averaged over a band much wider than the inverse delay spread, summed over all pairs of ports: the
    /// sum over taps of |rxWeights^T C txWeights|^2.
    double GetWidebandGain(Direction direction, const PortWeights& rxWeights, const PortWeights& txWeights);

  private:
    /// A drop's share in a link: the direct ray, or one cell in one condition.
    struct Part {
        LinkCondition condition;
        bool direct;
        DropPlace place;                   ///< of its drop; of the direct ray: none
        ns3::Vector shift;                 ///< of the image of the site
        double amplitude = 0;              ///< all factors: gain of the condition, its weight, K-factor, cell
        std::shared_ptr<ClusterDrop> drop; ///< drawn when its window is made
        std::unique_ptr<RayWindow> window;
        std::unique_ptr<RayWindow> previous; ///< fading out
        ns3::Vector utPlace, bsPlace;        ///< of the last look
        std::uint64_t arrayVersion = 0;
    };
    /// The site as the user sees it: where it is, or one of its images (WrapAround).
    struct View {
        WorldImage image;
        ns3::Vector utPlace; ///< where the user would be if this image were the site itself
        LinkGeometry geometry;
        ConditionWeights weights;
        std::array<double, link_conditions.size()> gain{}; ///< linear, by LinkCondition
        double Gain() const;
    };
    /// Values over frequency, and for which places, arrays and settings they hold.
    struct KeptValues {
        std::uint64_t arrayVersion = 0, settingsVersion = 0, realisation = 0;
        ns3::Vector utPlace, bsPlace;
        std::vector<std::complex<float>> values;
    };
    /// What GetEffectiveChannel keeps, and for which arguments.
    struct Effective : KeptValues {
        Direction direction;
        std::uint64_t rxId, txId;
        std::vector<double> frequenciesHz;
        std::uint64_t version = 0;
    };

    void CheckPlaces(const ns3::Vector& ut, const ns3::Vector& bs) const;
    void Settle();
    void RefreshLargeScale();
    void RefreshView(View& view);
    /// Find the parts that the present place takes part in, without their windows, and (unless the link is held) their
    /// drops, which may be still to be drawn.
    void PlaceParts();
    void FindParts();
    void FindDrops();
    void RefreshRays();
    double RayGain();
    double SpreadGain(const View& view, LinkCondition condition);
    double DirectGain(const ns3::Vector& fromBs, const ns3::Vector& toBs) const;
    double StraightGain(const View& view) const;
    void CheckArrays();
    void UpdateWindow(Part& part);
    void Block(const Part& part, RayWindow& window) const;
    /// Taps between ports (or, with null weights, elements), user x base station. \param taps to be filled
    void CollectTaps(const PortWeights* utWeights, const PortWeights* bsWeights, Taps& taps);
    void AddSurfaceResponse(Direction direction, const PortWeights* rxWeights, const PortWeights* txWeights,
                            std::span<const double> frequencyOffsetsHz, std::span<std::complex<float>> out);
    double SurfaceGain(Direction direction, const PortWeights& rxWeights, const PortWeights& txWeights);
    void Respond(Direction direction, const PortWeights* rxWeights, const PortWeights* txWeights,
                 std::span<const double> frequencyOffsetsHz, std::span<std::complex<float>> out);
    bool IsOverSurface() const;
    /// Grows when a surface changes, and when a user's surroundings do.
    std::uint64_t SettingsVersion() const;
    /// The entry of these arguments, which becomes the newest. \return null if there is none
    Effective* FindEffective(Direction direction, const PortWeights& rxWeights, const PortWeights& txWeights,
                             std::span<const double> frequencyOffsetsHz);
    /// Whether what is kept holds here, with the present arrays and settings.
    bool Holds(const KeptValues& kept, double wavelengths) const;
    /// Keep values that have been computed here.
    void Keep(std::vector<std::complex<float>> values, KeptValues& kept) const;
    void RespondByFour(std::span<const double> frequencyOffsetsHz, std::vector<std::complex<float>>& out);

    RadioChannel& m_channel;
    ns3::Ptr<ns3::MobilityModel> m_bs, m_ut;
    ns3::Ptr<ns3::PhasedArrayModel> m_bsArray, m_utArray;
    std::uint32_t m_bsNode, m_utNode;
    ns3::Vector m_site; ///< where the base station was at first: whose environment this is
    std::shared_ptr<ChannelEnvironment> m_environment;
    std::uint64_t m_realisation = 0;

    bool m_held = false, m_frozen = false;
    std::uint64_t m_screensVersion = 0; ///< that the windows are for
    bool m_placed = false, m_viewsCurrent = false, m_partsCurrent = false, m_raysCurrent = false;
    ns3::Vector m_bsPlace, m_utPlace; ///< the places that everything below is for
    ns3::Vector m_home;               ///< where the user's large-scale parameters and clusters are taken
    std::uint64_t m_surroundingsVersion = 0;
    Surroundings m_surroundings;
    std::vector<View> m_views; ///< the one with the largest weight first
    ArrayShape m_bsShape, m_utShape;
    std::uint64_t m_arrayVersion = 0;
    std::vector<std::unique_ptr<Part>> m_parts;
    std::list<Effective> m_effective; ///< newest first
    std::uint64_t m_computed = 0;     ///< effective channels so far
    KeptValues m_kept;                ///< of GetKeptResponse
    std::vector<double> m_keptFrequenciesHz;
    std::uint64_t m_arraysChecked = 0; ///< UnchangedArrays in whose time the arrays were looked at last
};

} // namespace edgelam
