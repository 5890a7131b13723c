// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A cell's links: channel state reports, link adaptation, power control, interference, and the SINR of transmissions.
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ns3/traced-callback.h"

#include "nr-air.h"
#include "nr-carrier.h"
#include "nr-harq-entity.h"
#include "nr-interference.h"
#include "nr-radio-link.h"
#include "nr-records.h"
#include "nr-shared-slot.h"
#include "nr-slot-work.h"
#include "nr-workers.h"

namespace edgelam::nr {

/// Quality of a link as the gNB knows it.
struct LinkQuality {
    unsigned layers = 1;
    std::vector<float> sinrDb; ///< [RBG] effective
    double mean = 0;           ///< bit/s/Hz of one layer that these SINRs allow
    unsigned cqi = 0;          ///< of the whole band, if this is a report
    double wideband = 0;       ///< effective SINR of one layer (or the fewest possible) over the band, linear
    unsigned mostGroups = 0;   ///< uplink: groups for which the power is enough, at the lowest MCS
    bool reaches = true;       ///< false: out of range, nothing is scheduled
};

/// What link adaptation knows about one direction of a link, or about a multicast group.
struct LinkAdaptation {
    LinkQuality quality, pending;
    std::vector<float> meanRise; ///< [sample] measured mean of noise and interference over noise; empty: none yet
    Covariance around;           ///< the same with what other cells sent, as last measured; empty: they are not heard
    /// What is known of noise and interference.
    Noise Known() const { return around.Empty() ? Noise(meanRise) : Noise(around); }
    double outerLoopDb = 0;
    double sharedLoopDb = 0;          ///< the outer loop of blocks on groups that are shared with other UEs
    bool sharedIsComputed = false;    ///< whether that one corrects what is computed from channels, in downlink
    std::optional<unsigned> givenMcs; ///< instead of link adaptation
};

/// Channel state reports: when the last one was, and from which slot on it is used.
struct CsiSchedule {
    std::uint64_t measuredSlot = 0, adoptSlot = 0;
    bool measured = false, pending = false;

    /// Whether a measurement is due, which is then to be made: it is used csiDelay slots later. \return nothing, or
    /// whether reports have been missing
    std::optional<bool> Begin(const CellSettings& settings, std::uint64_t slot) {
        if (pending || (measured && slot < measuredSlot + settings.csiPeriod)) {
            return std::nullopt;
        }
        // The first report is there when it is needed, and after a pause the reports count as if they had continued:
        // both are used at once.
        const bool paused = slot >= measuredSlot + settings.csiPeriod + settings.csiDelay;
        *this = {slot, slot + (measured && !paused ? settings.csiDelay : 0), true, true};
        return paused;
    }
    /// Whether Begin would begin one, or Adopts has one to be used.
    bool Due(const CellSettings& settings, std::uint64_t slot) const {
        return pending ? slot >= adoptSlot : !measured || slot >= measuredSlot + settings.csiPeriod;
    }
    /// Whether a measurement is to be used from now on: once for each.
    bool Adopts(std::uint64_t slot) { return pending && slot >= adoptSlot && std::exchange(pending, false); }
};

class Links {
  public:
    using Trace = ns3::TracedCallback<const CsiReportRecord&>;
    Links(const Carrier& carrier, ns3::Ptr<Beamformer> beamformer, const Trace& trace);

    /// Tell other cells what is sent here, and hear what they send, from now on. Before the first UE.
    /// \param cell its number on the air
    void Join(std::shared_ptr<Air> air, std::uint32_t cell) {
        m_air = std::move(air);
        m_cell = cell;
    }
    /// Whether other cells may hear what is sent here.
    bool AreHeard() const { return m_air && m_air->NumCells() > 1; }
    /// UEs have numbers below this one.
    void SetNumNumbers(std::uint32_t count) { m_ues.resize(count); }
    std::uint32_t NumNumbers() const { return static_cast<std::uint32_t>(m_ues.size()); }
    /// Add a UE that is not in the cell.
    void Add(std::uint32_t ue, ns3::Ptr<ChannelLink> link);
    void Remove(std::uint32_t ue);
    bool Has(std::uint32_t ue) const { return ue < m_ues.size() && m_ues[ue]; }
    /// The numbers of the UEs in the cell, in ascending order.
    const std::vector<std::uint32_t>& Ues() const { return m_numbers; }
    std::uint32_t NumUes() const { return static_cast<std::uint32_t>(m_numbers.size()); }
    /// These numbers as a text.
    std::string Names() const;
    UeLink& Of(std::uint32_t ue) { return m_ues[ue]->link; }
    LinkAdaptation& Adaptation(std::uint32_t ue, Direction direction) {
        return direction == Direction::Downlink ? m_ues[ue]->down : m_ues[ue]->up;
    }
    Beamformer& GetBeamformer() const { return *m_beamformer; }
    /// Put analog beams in front of a UE's link, see UeLink; a new report comes with its next block.
    void UseAnalog(std::uint32_t ue, ns3::Ptr<ChannelLink> link, const PortWeights& gnb, const PortWeights& ports) {
        if (m_air) {
            m_air->SetUePorts(ue, ports);
        }
        Of(ue).UseAnalog(link, gnb, ports, m_carrier.DownlinkSnr());
        ForgetReport(ue);
    }
    /// Forget the last report, so that a new one comes with the UE's next block.
    void ForgetReport(std::uint32_t ue) { m_ues[ue]->reports.measured = m_ues[ue]->reports.pending = false; }
    void SetInterference(std::shared_ptr<InterferenceSource> source);
    /// Let UEs report by sub-band. Before the first UE.
    void SetReports(std::shared_ptr<const SubbandReports> reports) { m_reports = std::move(reports); }
    /// Bytes of a UE's last report, with the CQIs, if precoders are reported from a codebook; otherwise 0: reports take
    /// no room.
    std::uint32_t ReportBytes(std::uint32_t ue) const;

    /// Have the CSI reports of these UEs made that are due: beams, rank and a CQI for each group of resource blocks
    /// (downlink), and what the gNB measures itself (uplink). What is drawn and asked of others is so here, in the
    /// order of the UEs; the rest is work for several threads. Measure comes next, in the same slot.
    void PrepareReports(std::span<const std::uint32_t> ues, std::uint64_t slot, SlotWork& work);
    /// Make the reports of these UEs that are due, and tell others of them, and of those that have been prepared, in
    /// their order. \return all of these; valid until the next call
    const std::vector<std::uint32_t>& Measure(std::span<const std::uint32_t> ues, std::uint64_t slot);
    /// Radio link monitoring of a UE that makes no reports at present (TS 38.133 8.1): whether PDCCH would be heard
    /// with what is sent around it now. Nothing is reported.
    void Watch(std::uint32_t ue, std::uint64_t slot);
    /// Whether a UE may be scheduled: its link has not failed, it reports a CQI above 0 (TS 38.214 5.2.2.1), and the
    /// gNB can decode the lowest MCS from it with all transmissions together.
    bool Reaches(std::uint32_t ue) const;
    /// The state of a UE's link after the last measurement.
    RadioLink& Radio(std::uint32_t ue) { return m_ues[ue]->radio; }
    /// Control channel elements of a grant to a UE.
    unsigned Cces(std::uint32_t ue) const { return m_carrier.control.Level(m_ues[ue]->down.quality.wideband); }
    /// Probability that the gNB misses a scheduling request.
    double RequestLoss(std::uint32_t ue) const;
    /// Quality of each group: the SINR at which a flat channel would allow the same MCS. \param asCqi as a UE reports
    /// it: a CQI of the whole band and, from 24 resource blocks on, two more bits for each sub-band
    void MeasureGroups(const SinrMap& map, bool asCqi, LinkQuality& out) const;
    /// SINR of one layer to a UE over its beam from the last measurement, or over a given beam, with the interference
    /// that the UE has measured.
    const SinrMap& MeasuredDownlink(std::uint32_t ue);
    const SinrMap& MeasuredDownlinkOver(std::uint32_t ue, const PortWeights& beam);

    /// A block that is sent.
    struct Transmission {
        Direction direction;
        std::uint32_t ue;
        unsigned harq;
        const HarqProcess* process;
    };
    /// Have it worked out how these blocks arrive.
    void Prepare(std::span<const Transmission> transmissions, std::uint64_t slot, SlotWork& work);
    /// The effective SINR, linear, with which a block arrives, alone in its groups or beside others. Blocks are asked
    /// for in the order in which they were prepared, but some may be left out.
    double Arrived(Direction direction, std::uint32_t ue, unsigned harq);
    /// Power of a resource block of a UE that sends on these groups (bits), over the gNB's noise.
    double UplinkSnr(std::uint32_t ue, std::uint32_t groups) const;
    /// Add a UE, with the groups and layers of its block, to a slot in which UEs share groups. \param weights that have
    /// been formed for it; null: uplink, there are none
    void Share(Direction direction, std::uint64_t slot, std::uint32_t ue, const HarqProcess& process,
               const Precoder* weights);
    /// Tell other cells what is sent in this slot: the block of a UE's process, or one layer over a beam.
    void PutOnAir(Direction direction, std::uint64_t slot, std::uint32_t ue, const HarqProcess& process);
    void PutOnAir(std::uint64_t slot, const PortWeights& beam, const std::vector<std::uint32_t>& groups);
    /// The same for one layer of a UE. \param powerW of a resource block
    void PutOnAir(std::uint64_t slot, std::uint32_t ue, const PortWeights& weights,
                  const std::vector<std::uint32_t>& groups, double powerW);
    /// Noise and interference over noise at the gNB's ports in these groups, as a mean over ports.
    /// \param ue one of those that send there \param rise [sample] of the band, to be filled
    void HearUp(std::uint32_t ue, std::uint64_t slot, const std::vector<std::uint32_t>& groups,
                std::vector<float>& rise);
    /// The effective SINR with which a block of one layer over a beam arrives at a UE.
    double DownlinkOver(std::uint32_t ue, const PortWeights& beam, const HarqProcess& process, std::uint64_t slot);

    /// The MCS of a block on these groups.
    unsigned McsFor(const LinkAdaptation& adaptation, const std::vector<std::uint32_t>& groups, double offsetDb) const;
    /// The MCS of a block beside those to other UEs. \param expected SINR of each layer in each group, linear
    unsigned McsBeside(const LinkAdaptation& adaptation, std::span<const float> expected);
    /// The bits that each group would carry, with the correction of the outer loop and an offset.
    void FillRates(const LinkAdaptation& adaptation, unsigned symbols, double offsetDb,
                   std::vector<float>& bitsPerGroup) const;
    /// What is left of those of an uplink block if so many bytes take more groups than the power of the UE suffices
    /// for.
    void LimitRates(std::uint32_t ue, unsigned symbols, std::uint64_t bytes, std::vector<float>& bitsPerGroup) const;
    /// Run the outer loop after the first transmission of a block, and after each that is lost beside others.
    void Adapt(LinkAdaptation& adaptation, const HarqProcess& process, bool decoded) const;
    /// The power of one of `prbs` resource blocks, W: open loop of TS 38.213 7.1.1.
    double UplinkPowerW(std::uint32_t ue, unsigned prbs) const;
    /// Of a block on `prbs` resource blocks over what was sounded, dB.
    double UplinkOffsetDb(std::uint32_t ue, unsigned prbs) const;

  private:
    struct Ue {
        Ue(UeLink made, const RadioLinkTimers& timers) : link(std::move(made)), radio(timers) {}
        UeLink link;
        RadioLink radio;
        LinkAdaptation down, up;
        double lossDb = 0; ///< path loss at the last measurement
        CsiSchedule reports;
        Covariance around; ///< used within one call
    };
    /// A block that arrives in the present slot.
    struct Arrival {
        Transmission sent;
        std::vector<std::uint32_t> samples; ///< of frequency, those of its groups
        std::vector<float> rise;            ///< see Rise
        double sinr;                        ///< effective, linear
    };
    /// Noise and interference over noise at each SINR sample, as the receiving end has it in this slot; empty if there
    /// is no source. The receiver updates its mean with it.
    std::span<const float> Rise(std::uint32_t ue, Direction direction, std::uint64_t slot);
    /// Add the channels of what other cells send on these groups.
    void FetchOthers(std::uint32_t ue, Direction direction, std::uint64_t slot, std::uint32_t groups,
                     ChannelFetch& fetch);
    template<class F>
    void ForMeasuredSlots(Direction direction, std::uint64_t slot, F body) const;
    std::uint32_t AllGroups() const { return m_carrier.numGroups == 32 ? UINT32_MAX : (1U << m_carrier.numGroups) - 1; }
    /// What is known of a block before it is received.
    void Expect(const Transmission& sent, std::uint64_t slot, Arrival& arrival);
    /// Work out how a block arrives.
    void Receive(Arrival& arrival, std::uint64_t slot);
    /// Noise and interference in the samples of a block, with what other cells send there, between the UE's antennas or
    /// the beams in use.
    Noise Around(const Arrival& arrival, std::uint64_t slot);
    const SinrMap& Downlink(const Transmission& sent, std::uint64_t slot, const Noise& noise);
    const SinrMap& Uplink(const Transmission& sent, std::uint64_t slot, const Noise& noise);
    bool Shares(const Transmission& sent, std::uint64_t slot) {
        return Shared(sent.direction, slot).Shares(slot, sent.ue);
    }
    /// Measure what other cells have sent in the last slots (CSI-IM of TS 38.214 5.2.2.4), between the UE's antennas or
    /// the beams that were measured last.
    void MeasureOthers(std::uint32_t ue, Direction direction, std::uint64_t slot);
    /// Noise and interference over noise that is known, a mean over band and antennas.
    static double MeanRise(const LinkAdaptation& adaptation);
    std::uint32_t Bits(const std::vector<std::uint32_t>& groups) const;
    /// What layer 1 indicates at this effective SINR, linear.
    Sync SyncAt(double sinr) const;
    /// Update from the pending report whether UE and gNB reach each other, and pass on what layer 1 indicates.
    void Monitor(Ue& ue, std::uint64_t slot);
    /// The highest MCS that layers with these SINRs allow, and the SINR at which a flat channel would allow it.
    struct Allowed {
        unsigned mcs;
        double sinrDb;
    };
    Allowed HighestOver(std::span<const float> sinrs) const;
    /// Of a UE where it is now, and as fast as it is.
    void UpdateSelfNoise(Ue& ue);
    /// Tell others of the reports that have been made.
    void FinishReports(std::uint64_t slot);
    /// What others take part in when a report is made: those who draw, and other cells' channels.
    void Begin(std::uint32_t ue, std::uint64_t slot, bool paused, ChannelFetch& fetch);
    /// The rest. It changes only what belongs to this UE.
    void MeasureOne(std::uint32_t ue, std::uint64_t slot);
    /// Use the pending report, if it is time.
    void Adopt(Ue& ue, std::uint64_t slot);
    /// The best of the ranks 1, 2, ...; `map` gives the SINRs of one. \return the effective SINR of the first
    template<class Map>
    double MeasureRanks(LinkAdaptation& adaptation, unsigned least, unsigned most, bool asCqi, Map map) const;
    void TraceReport(const Ue& ue) const;
    SharedSlot& Shared(Direction direction, std::uint64_t slot);

    const Carrier& m_carrier;
    ns3::Ptr<Beamformer> m_beamformer;
    const Trace& m_trace;
    std::vector<std::unique_ptr<Ue>> m_ues; ///< by number; null: not in this cell
    std::vector<std::uint32_t> m_numbers;   ///< of those in the cell
    std::shared_ptr<InterferenceSource> m_interference;
    std::shared_ptr<Air> m_air; ///< null: no other cells
    std::uint32_t m_cell = 0;
    std::shared_ptr<const SubbandReports> m_reports; ///< null: reports are for the whole band
    Precoder m_alone;                                ///< used within one call
    std::vector<Arrival> m_arrivals;                 ///< the first `m_numArrivals` are those of the present slot
    std::size_t m_numArrivals = 0, m_nextArrival = 0;
    std::vector<SharedSlot> m_sharedDown, m_sharedUp; ///< [slot mod size]
    std::vector<float> m_rise, m_expected;            ///< used within one call
    std::shared_ptr<Workers> m_workers;
    std::vector<std::uint32_t> m_measured; ///< reports that others have not been told of
    std::vector<std::uint32_t> m_reported; ///< those that the last call of Measure has told of
};

} // namespace edgelam::nr
