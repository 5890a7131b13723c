// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The MAC of a cell, slot by slot: who sends when, buffer status and scheduling requests, HARQ feedback.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "nr-analog-transfers.h"
#include "nr-beam-management.h"
#include "nr-block-receiver.h"
#include "nr-connection.h"
#include "nr-grants.h"
#include "nr-multicast-groups.h"
#include "nr-radio-energy.h"
#include "nr-slot-clock.h"

namespace edgelam::nr {

/// It works at slot boundaries, and only while there is something to do. The comment of Cell tells when each step
/// happens.
class Mac : private SlotWorker {
  public:
    /// \param beams null: there are no analog beams
    Mac(const Carrier& carrier, Links& links, Grants& grants, BlockReceiver& receiver, MulticastGroups& multicast,
        RadioEnergy& energy, BeamManagement* beams);
    ~Mac() override;
    Mac(const Mac&) = delete;
    Mac& operator=(const Mac&) = delete;

    /// Work in the rhythm of other cells. Before the first UE.
    /// \param rank its place among them
    void Join(std::shared_ptr<SlotClock> clock, std::uint64_t rank);
    /// The number of UEs for whose scheduling requests SrPeriod has room.
    std::size_t RequestRoom() const;
    /// Throws std::invalid_argument if there is no room for one more UE.
    void CheckRoom() const;
    /// Add a UE, whose link exists already; it has its own number.
    void AddUe(std::uint32_t number, std::shared_ptr<Connection> connection);
    /// Forget a UE, before its link; blocks that are under way are lost.
    void RemoveUe(std::uint32_t number);
    /// One direction of a UE's bearers. Throws std::out_of_range for a UE that is not here.
    Sender& Of(std::uint32_t ue, Direction direction) {
        return direction == Direction::Downlink ? UeOf(ue).down : UeOf(ue).up;
    }
    /// Analog transfers; Wake comes after one has been added.
    AnalogTransfers& Analog() { return m_analog; }
    /// The next slot boundary, or the present time if it is one.
    std::uint64_t NextSlot() const { return m_clock->NextSlot(*this); }
    /// Called when something begins to wait: work continues at the next slot boundary.
    void Wake() { m_clock->Wake(*this); }

    /// Size of a buffer status report with its MAC subheader (TS 38.321 6.1.3.1), where each priority is a logical
    /// channel group: a short report, or a long one for more than one group.
    static constexpr std::uint32_t ReportBytes(unsigned groups) { return groups <= 1 ? 2 : 3 + groups; }

  private:
    /// Reports and requests are numbered: retransmitted ones may come late.
    struct BufferStatus {
        // At the UE.
        std::uint64_t reportedBytes = 0;      ///< bytes in its last report
        std::uint64_t reportedSignalling = 0; ///< bytes of messages in it
        unsigned reportedUrgency = 0;         ///< the highest class of data in it
        std::uint64_t lastReport = 0;         ///< number of that report
        unsigned requests = 0;                ///< scheduling requests since the last grant (SR_COUNTER)
        bool heard = false;                   ///< whether the gNB has received any of them
        std::uint64_t nextRequest = 0;        ///< slot before which sr-ProhibitTimer forbids another one
        std::uint32_t grants = 0;             ///< for slots to come
        // Of the newest reports of CSI and of beams, for which no grant has had room yet.
        std::uint32_t csiBytes = 0, beamBytes = 0;
        std::uint32_t UciBytes() const { return csiBytes + beamBytes; }
        /// Those that fit, beams first (TS 38.214 5.2.5).
        std::uint32_t TakeUci(std::uint32_t room) {
            const std::uint32_t beams = std::min(room, beamBytes), csi = std::min(room - beams, csiBytes);
            beamBytes -= beams;
            csiBytes -= csi;
            return beams + csi;
        }
        // At the gNB.
        std::uint64_t newestReport = 0;    ///< number of the newest report that it has
        std::uint64_t knownBytes = 0;      ///< the backlog in it
        std::uint64_t knownSignalling = 0; ///< bytes of messages in it
        unsigned knownPriority = 0;        ///< the highest priority in it
        unsigned knownGroups = 1;          ///< how many groups it reports
        Bearers::PerClass knownOf{};       ///< with several bearers: the backlog of each class in it
    };
    struct Ue {
        Ue(std::shared_ptr<Connection> of, LinkAdaptation& downlink, LinkAdaptation& uplink, unsigned harqProcesses)
            : connection(std::move(of)), down(connection->down, downlink, harqProcesses),
              up(connection->up, uplink, harqProcesses) {}
        std::shared_ptr<Connection> connection;
        Sender down, up;
        BufferStatus status;
        std::uint32_t place = 0; ///< among the UEs of the cell, for the occasions of scheduling requests
        /// The number of priorities for which the UE has something to send.
        unsigned UplinkGroups() const {
            const unsigned status = down.bearers.StatusBytes() > 0 ? 1U << down.bearers.StatusPriority() : 0;
            return static_cast<unsigned>(std::popcount(up.bearers.Priorities() | status));
        }
        /// The highest priority of the data that the UE has to send.
        std::uint8_t UplinkPriority() const {
            return static_cast<std::uint8_t>(std::max(up.bearers.Priority(), down.bearers.StatusPriority()));
        }
        /// The same for a scheduling request, which does not say how much waits.
        std::uint8_t UplinkUrgency() const {
            return static_cast<std::uint8_t>(std::max(up.bearers.Urgency(), down.bearers.StatusPriority()));
        }
        /// The bytes that a UE that may not send data is asked for: the RLC status report for which it has been polled,
        /// and messages.
        std::uint64_t ControlBytes() const {
            const std::uint64_t reports = std::min<std::uint64_t>(status.knownBytes, down.bearers.StatusBytes());
            return std::max(reports, status.knownSignalling);
        }
        /// Messages that the UE has to send, and status reports about those that it has got; the same for the gNB.
        std::uint64_t UplinkSignalling() const {
            return up.bearers.SignallingBytes() + down.bearers.SignallingStatusBytes();
        }
        std::uint64_t DownlinkSignalling() const {
            return down.bearers.SignallingBytes() + up.bearers.SignallingStatusBytes();
        }
        /// Bytes of grants whose blocks carry newer information than the newest report that the gNB has.
        std::uint64_t BytesComing() const;
    };

    enum class ActionKind : std::uint8_t {
        Nothing,
        TransmitDown,
        HandUpDown,
        FeedbackDown,
        SchedulingRequest,
        TransmitUp,
        ReceiveUp,
        TransmitMulticast,
        HandUpMulticast,
        FeedbackMulticast,
        TransmitAnalog,
        HandUpAnalog
    };
    struct Action {
        ActionKind kind;
        std::uint8_t harq;
        std::uint32_t number;      ///< of the UE or multicast group; 0 for analog transfers
        std::uint64_t report = 0;  ///< of a scheduling request
        std::uint8_t priority = 0; ///< of a scheduling request
        bool signalling = false;   ///< whether it is for messages
    };

    void PutOnAir(std::uint64_t slot) override;
    void Prepare(std::uint64_t slot, SlotWork& work) override;
    void Execute(std::uint64_t slot) override;
    void PrepareDown(std::uint64_t slot, SlotWork& work) override;
    void DecideDown(std::uint64_t slot) override;
    void PutOnAirAtOnce(std::uint64_t slot) override { Announce(m_atOnce, slot); }
    void ExecuteAtOnce(std::uint64_t slot) override;
    void PrepareUp(std::uint64_t slot, SlotWork& work) override;
    void DecideUp(std::uint64_t slot) override;
    bool Busy() const override;
    static bool IsBusy(const Ue& ue);
    /// A UE's bearers wake this cell no more.
    static void Quieten(Ue& ue);
    /// Throws std::out_of_range for a UE that is not here.
    Ue& UeOf(std::uint32_t number) const;
    /// Tell the other cells what these actions send.
    void Announce(const std::vector<Action>& actions, std::uint64_t slot);
    void Schedule(std::uint64_t slot, const Action& action);
    /// Symbols for downlink data.
    unsigned DownSymbols(std::uint64_t slot) const;
    /// With analog beams, leave only demands of one beam.
    void KeepOneBeam(Direction direction, std::uint64_t forSlot);
    void Execute(const Action& action, std::uint64_t slot);
    /// Downlink data of slot + GnbDelay.
    /// \param cces that its grants may take \return those that they have left
    unsigned ScheduleDown(std::uint64_t slot, unsigned symbols, unsigned cces);
    /// Uplink data of slot `forSlot`.
    unsigned ScheduleUp(std::uint64_t slot, std::uint64_t forSlot, unsigned symbols, unsigned cces);
    /// Let an analog transfer that waits take its part of slot `forSlot`. \return how many groups are left
    std::uint32_t ScheduleAnalog(std::uint64_t slot, std::uint64_t forSlot, unsigned symbols, unsigned& cces);
    /// \return false if nothing fits into the block; then nothing is sent
    bool GrantDown(std::uint32_t number, unsigned harq, unsigned symbols, std::uint64_t slot);
    void GrantUp(std::uint32_t number, unsigned harq, unsigned symbols, std::uint64_t slot);
    void TransmitDown(std::uint32_t number, unsigned harq, std::uint64_t slot);
    void TransmitUp(std::uint32_t number, unsigned harq, std::uint64_t slot);
    void HandUpDown(Ue& ue, unsigned harq);
    void ReceiveUp(Ue& ue, unsigned harq);
    /// The gNB learns whether a block was decoded.
    void Feedback(Sender& sender, unsigned harq, bool decoded);
    /// Have it worked out how the blocks that these actions send arrive.
    void Prepare(const std::vector<Action>& actions, std::uint64_t slot, SlotWork& work);
    /// The UEs for which something waits, or of which: they go into m_candidates.
    void FindDown(std::uint64_t slot);
    void FindUp(std::uint64_t slot);
    std::uint64_t WaitsFor(const Ue& ue, std::uint32_t number) const;
    std::uint64_t WaitsOf(const Ue& ue, std::uint32_t number) const;
    /// Measure UEs of which something waits, if it is time.
    void Look(std::span<const std::uint32_t> ues, std::uint64_t slot);
    /// Whether a UE with waiting data may be scheduled, after a look at it. If its link has failed, the data that waits
    /// in HARQ is given up, and the data in the bearers is given up once T311 has run out.
    bool Reaches(std::uint32_t number, std::uint64_t slot);
    /// Whether this slot has an occasion for a UE's scheduling request.
    bool MayRequest(std::uint32_t number, std::uint64_t slot);
    /// The PDCCH elements of a slot that uplink may keep before downlink takes its part.
    unsigned ReservedCces(unsigned free);
    /// The UEs that send HARQ feedback in the slot that carries the feedback for downlink blocks of this slot.
    struct Feedbacks;
    Feedbacks& FeedbacksOf(std::uint64_t slot);
    /// UEs with data that the gNB does not know about ask for a grant (TS 38.321 5.4.4).
    void RequestGrants(std::uint64_t slot);

    const Carrier& m_carrier;
    Links& m_links;
    Grants& m_grants;
    BlockReceiver& m_receiver;
    MulticastGroups& m_multicast;
    RadioEnergy& m_energy;
    BeamManagement* m_beams;          ///< null: no analog beams
    std::array<BeamTurns, 2> m_turns; ///< [direction]
    std::shared_ptr<SlotClock> m_clock;
    std::vector<std::unique_ptr<Ue>> m_ues;  ///< by number; null: not in this cell
    std::vector<std::vector<Action>> m_ring; ///< [slot mod size]: the actions that are due; longer than any delay
    std::vector<Action> m_atOnce;            ///< those that were decided on in this slot for this slot
    std::vector<std::uint32_t> m_candidates; ///< used within one call
    std::vector<Links::Transmission> m_transmissions; ///< used within one call
    /// [slot mod size]: UEs with HARQ feedback in that slot; if `slot` is another one: none.
    struct Feedbacks {
        std::uint64_t slot = 0;
        std::vector<std::uint32_t> ues;
    };
    std::vector<Feedbacks> m_feedbacks;
    std::uint32_t m_places = 0;   ///< one above the highest place of a UE
    unsigned m_requestPeriod = 0; ///< in slots; its offsets and its number of places follow
    std::vector<unsigned> m_requestOffsets;
    std::uint32_t m_requestUes = 0;
    bool m_uplinkTurn = false;     ///< whether uplink gets the first control channel elements
    std::size_t m_outstanding = 0; ///< actions in the ring
    unsigned m_freeCces = 0;       ///< of the present slot, after downlink
    unsigned m_reservedCces = 0;   ///< of the present slot, that uplink may keep
    AnalogTransfers m_analog;
};

} // namespace edgelam::nr
