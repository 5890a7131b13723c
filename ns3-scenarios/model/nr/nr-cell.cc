// SPDX-License-Identifier: GPL-2.0-only
#include "nr-cell.h"

#include <stdexcept>

#include "ns3/boolean.h"
#include "ns3/double.h"
#include "ns3/integer.h"
#include "ns3/log.h"
#include "ns3/nstime.h"
#include "ns3/simulator.h"
#include "ns3/string.h"
#include "ns3/trace-source-accessor.h"
#include "ns3/uinteger.h"

NS_LOG_COMPONENT_DEFINE("NrCell");

namespace edgelam::nr {

NS_OBJECT_ENSURE_REGISTERED(Cell);

ns3::TypeId Cell::GetTypeId() {
    using namespace ns3;
    const auto real = [](double smallest, double largest) { return MakeDoubleChecker<double>(smallest, largest); };
    const auto whole = [](unsigned smallest, unsigned largest) {
        return MakeUintegerChecker<unsigned>(smallest, largest);
    };
    // A setting as a member of the cell, for accessors.
    const auto of = []<class T>(T CellSettings::* member) { return static_cast<T Cell::*>(member); };
    static TypeId tid =
        TypeId("edgelam::nr::Cell")
            .SetParent<Object>()
            .AddConstructor<Cell>()
            .AddAttribute("Numerology", "mu: subcarrier spacing 15 kHz x 2^mu; 0 to 3, 5, 6.", UintegerValue(1),
                          MakeUintegerAccessor(of(&CellSettings::mu)), whole(0, 6))
            .AddAttribute("Bandwidth", "Channel bandwidth, one of TS 38.104 5.3.2, Hz.", DoubleValue(100e6),
                          MakeDoubleAccessor(of(&CellSettings::bandwidthHz)), real(3e6, 8000e6))
            .AddAttribute("Pattern", "FDD, or TDD slots as D, S, U with the split of S: DDDSU:10,2,2.",
                          StringValue("DDDSU"), MakeStringAccessor(of(&CellSettings::pattern)), MakeStringChecker())
            .AddAttribute("GnbPower", "Transmit power of the gNB over all resource blocks, dBm.", DoubleValue(44),
                          MakeDoubleAccessor(of(&CellSettings::gnbPowerDbm)), real(-200, 200))
            .AddAttribute("UePower", "Largest transmit power of a UE, dBm.", DoubleValue(23),
                          MakeDoubleAccessor(of(&CellSettings::uePowerDbm)), real(-200, 200))
            .AddAttribute("GnbNoiseFigure", "Noise figure of the gNB, dB.", DoubleValue(5),
                          MakeDoubleAccessor(of(&CellSettings::gnbNoiseDb)), real(0, 100))
            .AddAttribute("UeNoiseFigure", "Noise figure of a UE, dB.", DoubleValue(9),
                          MakeDoubleAccessor(of(&CellSettings::ueNoiseDb)), real(0, 100))
            .AddAttribute(
                "P0",
                "Uplink power control: target of the received power in one resource block of 180 kHz, dBm (TS "
                "38.213 7.1.1).",
                DoubleValue(-90), MakeDoubleAccessor(of(&CellSettings::p0Dbm)), real(-300, 200))
            .AddAttribute("PhaseNoise",
                          "Power of the error that phase noise makes, after its common part is taken out, over that of "
                          "the signal, dB: no SINR of a layer is above its inverse; -200: none.",
                          DoubleValue(-200), MakeDoubleAccessor(of(&CellSettings::phaseNoiseDb)), real(-200, -1))
            .AddAttribute("Intercarrier",
                          "Whether subcarriers disturb one another as the speed of a UE lets them in isotropic "
                          "scattering.",
                          BooleanValue(false), MakeBooleanAccessor(of(&CellSettings::intercarrier)),
                          MakeBooleanChecker())
            .AddAttribute("Alpha", "Uplink power control: share of the path loss that is compensated.",
                          DoubleValue(0.8), MakeDoubleAccessor(of(&CellSettings::alpha)), real(0, 1))
            .AddAttribute(
                "BlerTarget",
                "Target block error rate of link adaptation, from 1e-6 on; 0: that of the CQI table (TS 38.214 "
                "5.2.2.1), 1e-5 with McsTable 3 and 0.1 with the others.",
                DoubleValue(0), MakeDoubleAccessor(of(&CellSettings::blerTarget)), real(0, 0.5))
            .AddAttribute("Scheduler",
                          "rr, pf, max-rate, external, or the TypeId of a class derived from edgelam::nr::Scheduler.",
                          StringValue("pf"), MakeStringAccessor(of(&CellSettings::scheduler)), MakeStringChecker())
            .AddAttribute(
                "Beams",
                "eigen, codebook, direct, zf, rzf (zero forcing and regularised zero forcing to several UEs), "
                "external (SetPrecoders), analog (phase shifters with one beam in a slot, which sweeps find), or the "
                "TypeId of a class derived from edgelam::nr::Beamformer.",
                StringValue("eigen"), MakeStringAccessor(of(&CellSettings::beams)), MakeStringChecker())
            .AddAttribute(
                "Selection",
                "Who is sent to together (multi-user MIMO): none, greedy (by the sum of rates), "
                "semi-orthogonal, external (whom SetPrecoders gives weights), or the TypeId of a class derived "
                "from edgelam::nr::UserSelection; auto: greedy with zf and rzf, otherwise none.",
                StringValue("auto"), MakeStringAccessor(of(&CellSettings::selection)), MakeStringChecker())
            .AddAttribute("UplinkSelection",
                          "Who sends together (multi-user MIMO in uplink): none, greedy (by the sum of rates), "
                          "semi-orthogonal, or "
                          "the TypeId of a class derived from edgelam::nr::UserSelection. If it is not none, the gNB "
                          "receives over all of its "
                          "ports, not over the beams of each UE.",
                          StringValue("none"), MakeStringAccessor(of(&CellSettings::uplinkSelection)),
                          MakeStringChecker())
            .AddAttribute(
                "Csi",
                "What the gNB knows of a UE's channel, with Beams zf and rzf: band (eigenvectors of the whole band, "
                "and "
                "the channel in each group of resource blocks), subband (the same with eigenvectors of each sub-band), "
                "or etype2 (precoders of the enhanced Type II codebook, TS 38.214 5.2.2.2.5, and CQIs).",
                StringValue("band"), MakeStringAccessor(of(&CellSettings::csi)), MakeStringChecker())
            .AddAttribute("EtypeTwoCombination", "paramCombination-r16 of Csi etype2 (TS 38.214 table 5.2.2.2.5-1).",
                          UintegerValue(6), MakeUintegerAccessor(of(&CellSettings::etypeTwoCombination)), whole(1, 8))
            .AddAttribute(
                "LimitElements",
                "Whether each element of the gNB may have its equal part of the power only; with Beams zf, rzf "
                "and external.",
                BooleanValue(false), MakeBooleanAccessor(of(&CellSettings::limitElements)), MakeBooleanChecker())
            .AddAttribute("McsTable", "MCS and CQI table of TS 38.214: 1 (64QAM), 2 (256QAM), 3 (low efficiency).",
                          UintegerValue(2), MakeUintegerAccessor(of(&CellSettings::mcsTable)), whole(1, 4))
            .AddAttribute("MaxLayers", "Greatest number of layers of a downlink block.", UintegerValue(4),
                          MakeUintegerAccessor(of(&CellSettings::maxLayers)), whole(1, max_layers))
            .AddAttribute("MaxUplinkLayers", "Greatest number of layers of an uplink block.", UintegerValue(1),
                          MakeUintegerAccessor(of(&CellSettings::maxUplinkLayers)), whole(1, max_layers))
            .AddAttribute("ControlSymbols", "Symbols of each downlink slot that control channels use.",
                          UintegerValue(1), MakeUintegerAccessor(of(&CellSettings::controlSymbols)), whole(0, 3))
            .AddAttribute("AggregationLevel",
                          "Control channel elements of every grant: 1, 2, 4, 8 or 16; 0: for each UE the fewest with "
                          "which it misses at most 1 % of grants.",
                          UintegerValue(0), MakeUintegerAccessor(of(&CellSettings::aggregationLevel)), whole(0, 16))
            .AddAttribute(
                "FeedbackPrbs",
                "Resource blocks of PUCCH for HARQ feedback in each slot with uplink symbols: one UE in each.",
                UintegerValue(16), MakeUintegerAccessor(of(&CellSettings::feedbackPrbs)), whole(1, 275))
            .AddAttribute(
                "SrPrbs",
                "Resource blocks of PUCCH for scheduling requests in each slot with uplink symbols: 12 UEs in "
                "each.",
                UintegerValue(8), MakeUintegerAccessor(of(&CellSettings::srPrbs)), whole(1, 275))
            .AddAttribute(
                "SrPeriod",
                "Slots between two occasions of a UE for scheduling requests (those without uplink symbols are "
                "none), as in TS 38.331, at most 80 ms; 0: the shortest in which all UEs have room.",
                UintegerValue(0), MakeUintegerAccessor(of(&CellSettings::srPeriod)), whole(0, 5120))
            .AddAttribute("DmrsPerPrb", "Resource elements of DMRS in each resource block and slot.", UintegerValue(12),
                          MakeUintegerAccessor(of(&CellSettings::dmrsPerPrb)), whole(6, 36))
            .AddAttribute(
                "DmrsType",
                "Configuration type of DMRS (TS 38.211 7.4.1.1.2), which says how many layers of several UEs a "
                "group may have, and from how many on DMRS take twice DmrsPerPrb: 8 and 5 with type 1, 12 and "
                "7 with type 2.",
                UintegerValue(2), MakeUintegerAccessor(of(&CellSettings::dmrsType)), whole(1, 2))
            .AddAttribute("Overhead",
                          "Resource elements of SSB, CSI-RS and PT-RS, or of PUCCH and SRS, in each resource block and "
                          "slot on average: xOverhead of TS 38.214 5.1.3.2, 0, 6, 12 or 18; -1: 6 in FR2, otherwise 0.",
                          IntegerValue(-1), MakeIntegerAccessor(of(&CellSettings::overheadPerPrb)),
                          MakeIntegerChecker<int>(-1, 18))
            .AddAttribute("HarqProcesses",
                          "HARQ processes of a UE and direction; 0: as many as there may be, 16, or 32 in FR2-2.",
                          UintegerValue(0), MakeUintegerAccessor(of(&CellSettings::harqProcesses)),
                          whole(0, HarqEntity::most_processes))
            .AddAttribute("MaxTransmissions", "Greatest number of transmissions of a block, including the first.",
                          UintegerValue(4), MakeUintegerAccessor(of(&CellSettings::maxTransmissions)), whole(1, 16))
            .AddAttribute("MulticastTransmissions",
                          "Greatest number of transmissions of a multicast block, including the first; 1: no "
                          "HARQ feedback.",
                          UintegerValue(4), MakeUintegerAccessor(of(&CellSettings::multicastTransmissions)),
                          whole(1, 16))
            .AddAttribute("MulticastMcs", "MCS of all multicast blocks; -1: the MCS that the worst receiver allows.",
                          IntegerValue(-1), MakeIntegerAccessor(of(&CellSettings::multicastMcs)),
                          MakeIntegerChecker<int>())
            .AddAttribute("Combining", "Combining of HARQ transmissions: ir (incremental redundancy) or chase.",
                          StringValue("ir"), MakeStringAccessor(&Cell::SetCombining, &Cell::GetCombining),
                          MakeStringChecker())
            .AddAttribute("ImplementationGap",
                          "Gap of receivers to the normal approximation, dB; -1: that of LDPC codes with belief "
                          "propagation, as measured for each MCS.",
                          DoubleValue(ErrorModel::ldpc), MakeDoubleAccessor(of(&CellSettings::gapDb)), real(-1, 10))
            .AddAttribute("GnbDelay",
                          "Slots from a decision of the gNB to its transmission, and from a reception to its decoding.",
                          UintegerValue(1), MakeUintegerAccessor(of(&CellSettings::gnbDelay)), whole(0, 20))
            .AddAttribute(
                "UeDelay",
                "Slots that a UE needs to decode; 0: what the numerology asks for (N1 of TS 38.214 table 5.3-1, "
                "rounded up).",
                UintegerValue(0), MakeUintegerAccessor(of(&CellSettings::ueDelay)), whole(0, most_ue_delay))
            .AddAttribute("K1",
                          "Least number of slots from a downlink block to its HARQ feedback; 0: 2, or what the "
                          "numerology asks for (TS 38.214 table 5.3-1) if that is more.",
                          UintegerValue(0), MakeUintegerAccessor(of(&CellSettings::k1)), whole(0, most_k))
            .AddAttribute("K2",
                          "Least number of slots from a grant to its uplink block; 0: 2, or what the numerology asks "
                          "for (TS 38.214 table 6.4-1) if that is more.",
                          UintegerValue(0), MakeUintegerAccessor(of(&CellSettings::k2)), whole(0, most_k))
            .AddAttribute("Threads",
                          "Threads that work on the channels of UEs; results do not depend on it. Of no effect with "
                          "surfaces, or with a beamformer that is not thread-safe.",
                          UintegerValue(1), MakeUintegerAccessor(of(&CellSettings::threads)), whole(1, 64))
            .AddAttribute("CsiPeriod", "Slots between two CSI reports of a UE.", UintegerValue(20),
                          MakeUintegerAccessor(of(&CellSettings::csiPeriod)), whole(1, 10000))
            .AddAttribute("CsiDelay", "Slots until the gNB uses a CSI report.", UintegerValue(4),
                          MakeUintegerAccessor(of(&CellSettings::csiDelay)), whole(0, 100))
            .AddAttribute("N310",
                          "Radio link failure: out-of-sync indications, one with each CSI report, until T310 starts.",
                          UintegerValue(1), MakeUintegerAccessor(of(&CellSettings::n310)), whole(1, 20))
            .AddAttribute("N311", "Radio link failure: in-sync indications until T310 stops.", UintegerValue(1),
                          MakeUintegerAccessor(of(&CellSettings::n311)), whole(1, 10))
            .AddAttribute("T310", "Radio link failure: time out of sync until the link has failed.",
                          TimeValue(MilliSeconds(1000)), MakeTimeAccessor(of(&CellSettings::t310)),
                          MakeTimeChecker(MilliSeconds(0), MilliSeconds(6000)))
            .AddAttribute("T311", "Time that a failed link may need to come back before what waits is dropped.",
                          TimeValue(MilliSeconds(30000)), MakeTimeAccessor(of(&CellSettings::t311)),
                          MakeTimeChecker(MilliSeconds(1000), MilliSeconds(30000)))
            .AddAttribute("SrProhibitTimer", "sr-ProhibitTimer: least time between two scheduling requests.",
                          TimeValue(MilliSeconds(0)), MakeTimeAccessor(of(&CellSettings::srProhibit)),
                          MakeTimeChecker(MilliSeconds(0), MilliSeconds(128)))
            .AddAttribute("SrTransMax",
                          "sr-TransMax: scheduling requests without a grant, none of them heard, until the link has "
                          "failed.",
                          UintegerValue(64), MakeUintegerAccessor(of(&CellSettings::srTransMax)), whole(1, 64))
            .AddTraceSource("TransportBlock", "Every transmission of a transport block.",
                            MakeTraceSourceAccessor(&Cell::m_blockTrace), "edgelam::nr::Cell::BlockCallback")
            .AddTraceSource("CsiReport", "Every CSI report of a UE, with what the gNB measures itself.",
                            MakeTraceSourceAccessor(&Cell::m_csiTrace), "edgelam::nr::Cell::CsiCallback")
            .AddTraceSource("PacketDelivered", "Every packet that a bearer delivers.",
                            MakeTraceSourceAccessor(&Cell::m_packetTrace), "edgelam::nr::Cell::PacketCallback");
    static const TypeId complete = AddBeams(AddQuality(AddEnergy(tid)));
    return complete;
}

Cell::Cell() : m_random(ns3::CreateObject<ns3::UniformRandomVariable>()) {}

Cell::~Cell() = default;

void Cell::DoDispose() {
    m_mac.reset();
    m_outside.reset();
    m_multicast.reset();
    m_energy.reset();
    m_receiver.reset();
    m_grants.reset();
    m_beamManagement.reset();
    m_links.reset();
    m_channel = nullptr;
    m_beamformer = nullptr;
    m_atUe = m_atGnb = nullptr;
    ns3::Object::DoDispose();
}

void Cell::SetGnb(ns3::Ptr<RadioChannel> channel, ns3::Ptr<ns3::MobilityModel> mobility,
                  ns3::Ptr<ns3::PhasedArrayModel> array) {
    m_carrier = std::make_unique<const Carrier>(static_cast<const CellSettings&>(*this),
                                                channel->GetStatistics().GetFrequencyHz());
    m_beamformer = Beamformer::Make(beams);
    try {
        m_beamformer->CheckArray(*array);
    } catch (const std::invalid_argument& error) {
        throw std::invalid_argument("NR cell: Beams '" + beams + "': " + error.what());
    }
    if (selection == "external") {
        const auto external = ns3::DynamicCast<ExternalBeamformer>(m_beamformer);
        if (!external) {
            throw std::invalid_argument(
                "NR cell: Selection 'external' with Beams '" + beams +
                "'; legal is external, or a class derived from edgelam::nr::ExternalBeamformer");
        }
        external->SetTogether(true);
    }
    if (limitElements && !m_beamformer->CanLimitElements()) {
        throw std::invalid_argument(
            "NR cell: LimitElements with Beams '" + beams +
            "'; legal are zf, rzf, external with Selection external, or a class that can do it");
    }
    m_beamformer->Configure(m_carrier->DownlinkSnr(), limitElements);
    m_links = std::make_unique<Links>(*m_carrier, m_beamformer, m_csiTrace);
    if (m_carrier->ReportsBySubband()) {
        m_links->SetReports(std::make_shared<const SubbandReports>(*m_carrier, *m_beamformer, *array));
    }
    m_grants = std::make_unique<Grants>(*m_carrier, *m_links, m_random);
    m_receiver = std::make_unique<BlockReceiver>(*m_carrier, m_blockTrace);
    MakeBeamManagement(*array);
    m_energy = std::make_unique<RadioEnergy>(
        *m_carrier, *m_links, m_beamManagement ? m_beamManagement->NumPorts() : array->GetNumElems(), m_powerTrace);
    m_multicast = std::make_unique<MulticastGroups>(*m_carrier, *m_links, *m_grants, *m_receiver, *m_energy, m_random);
    m_outside = std::make_unique<OutsideControl>(*m_carrier, *m_links, *m_grants, m_beamformer, array->GetNumElems());
    m_mac = std::make_unique<Mac>(*m_carrier, *m_links, *m_grants, *m_receiver, *m_multicast, *m_energy,
                                  m_beamManagement.get());
    MakeSlices();
    m_channel = channel;
    m_gnbMobility = mobility;
    m_gnbArray = array;
    NS_LOG_INFO("scheduler " << scheduler << ", beams " << beams);
}

void Cell::CheckSet(const char* what) const {
    if (!m_mac) {
        throw std::logic_error(std::string("NR cell: SetGnb comes before ") + what);
    }
}

void Cell::Join(const Surroundings& surroundings) {
    CheckSet("Join");
    if (NumUes() > 0 || m_isOneOfSeveral) {
        throw std::logic_error("NR cell: a cell joins one network, and before its first UE");
    }
    if (m_beamManagement && uePanels > 1) {
        throw std::invalid_argument("NR cell: UePanels " + std::to_string(uePanels) +
                                    " in a network of several cells; legal are 0 and 1");
    }
    m_isOneOfSeveral = true;
    m_mac->Join(surroundings.clock, surroundings.rank);
    m_links->Join(surroundings.air, surroundings.number);
}

void Cell::CheckPlace(const ns3::Ptr<ns3::MobilityModel>& ue) const {
    if (!m_channel->IsBaseStation(m_gnbMobility, ue)) {
        throw std::invalid_argument("NR cell: a UE is higher than the gNB; legal is a gNB above its UEs");
    }
}

ns3::Ptr<ChannelLink> Cell::LinkTo(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array) const {
    CheckPlace(mobility);
    return m_channel->GetLink(m_gnbMobility, m_gnbArray, mobility, array);
}

std::uint32_t Cell::AddUe(ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                          const std::vector<QosBearer>& bearers) {
    CheckSet("AddUe");
    if (m_isOneOfSeveral) {
        throw std::logic_error("NR cell: UEs of a cell of a network are added with Network::AddUe");
    }
    CheckBearers(bearers);
    const std::uint32_t number = NumUes();
    Attach(number, mobility, array, std::make_shared<Connection>(bearers));
    return number;
}

void Cell::Attach(std::uint32_t ue, ns3::Ptr<ns3::MobilityModel> mobility, ns3::Ptr<ns3::PhasedArrayModel> array,
                  std::shared_ptr<Connection> connection) {
    const auto link = LinkTo(mobility, array);
    m_mac->CheckRoom();
    m_links->Add(ue, link);
    if (m_beamManagement) {
        AddAnalog(ue, mobility, array);
    }
    m_energy->AddUe(ue, static_cast<unsigned>(m_links->Of(ue).Phy().NumUeAntennas()), m_mac->NextSlot());
    for (const bool uplink : {false, true}) {
        Bearers& bearers = uplink ? connection->up : connection->down;
        for (unsigned i = 0; i < bearers.Size(); ++i) {
            TracePackets(bearers[i], {.ue = ue, .group = -1 - static_cast<std::int32_t>(i), .uplink = uplink});
            bearers[i].SetDeliver([this, ue, uplink](ns3::Ptr<ns3::Packet> packet) {
                if (const Deliver& deliver = uplink ? m_atGnb : m_atUe) {
                    deliver(ue, packet);
                }
            });
        }
    }
    m_mac->AddUe(ue, std::move(connection));
    NS_LOG_INFO("UE " << ue);
}

void Cell::Detach(std::uint32_t ue) {
    m_mac->RemoveUe(ue);
    if (m_beamManagement) {
        m_beamManagement->Remove(ue);
    }
    m_outside->Forget(ue);
    NS_LOG_INFO("UE " << ue << " leaves");
}

bool Cell::SendDown(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority, unsigned bearer) {
    return m_mac->Of(ue, Direction::Downlink).bearers[bearer].Send(packet, priority);
}

bool Cell::SendUp(std::uint32_t ue, ns3::Ptr<ns3::Packet> packet, unsigned priority, unsigned bearer) {
    return m_mac->Of(ue, Direction::Uplink).bearers[bearer].Send(packet, priority);
}

std::uint32_t Cell::AddMulticast(const std::vector<std::uint32_t>& ues) {
    CheckSet("AddMulticast");
    if (m_beamManagement) {
        throw std::invalid_argument("NR cell: a multicast group with Beams '" + beams +
                                    "', where a slot has one analog beam; legal are others");
    }
    return m_multicast->Add(
        ues, m_mac->NextSlot(), [this] { m_mac->Wake(); },
        [this](std::uint32_t group, std::uint32_t ue, ReceivingEntity& entity) {
            entity.SetDeliver([this, ue](ns3::Ptr<ns3::Packet> packet) {
                if (m_atUe) {
                    m_atUe(ue, packet->Copy());
                }
            });
            TracePackets(entity, {.ue = ue, .group = static_cast<std::int32_t>(group)});
        });
}

bool Cell::SendMulticast(std::uint32_t group, ns3::Ptr<ns3::Packet> packet, unsigned priority) {
    return m_multicast->SendingEnd(group).Send(packet, priority);
}

bool Cell::RemoveMulticast(std::uint32_t group) {
    return m_multicast->Remove(group);
}

const Bearer& Cell::MulticastBearer(std::uint32_t group) const {
    return m_multicast->SendingEnd(group);
}

void Cell::SetCombining(std::string name) {
    if (name != "ir" && name != "chase") {
        throw std::invalid_argument("NR cell: Combining '" + name + "'; legal are ir, chase");
    }
    incrementalRedundancy = name == "ir";
}

void Cell::SetDeliver(Deliver atUe, Deliver atGnb) {
    m_atUe = std::move(atUe);
    m_atGnb = std::move(atGnb);
}

Cell::Change Cell::Shares(const std::vector<double>& down, const std::vector<double>& up) {
    CheckSet("shares");
    return FromNextSlot(m_outside->Shares(down, up));
}

Cell::Change Cell::LeastPrbs(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up) {
    CheckSet("least numbers of resource blocks");
    return FromNextSlot(m_outside->LeastPrbs(down, up));
}

Cell::Change Cell::PrbCaps(const std::vector<std::uint32_t>& down, const std::vector<std::uint32_t>& up) {
    CheckSet("caps of resource blocks");
    return FromNextSlot(m_outside->PrbCaps(down, up), m_carrier->longestGrant);
}

Cell::Change Cell::Precoders(std::span<const std::complex<float>> weights) {
    CheckSet("precoders");
    return PrecodersOf(WeightsOfUes(weights, m_outside->Shape()));
}

Cell::Change Cell::PrecodersOf(std::span<const UeWeights> weights) {
    CheckSet("precoders");
    const auto external = ns3::DynamicCast<ExternalBeamformer>(m_beamformer);
    // For transmissions together, weights are chosen with the grants.
    return FromNextSlot(m_outside->Precoders(weights),
                        external && external->Together() ? m_carrier->settings.gnbDelay : 0);
}

Cell::Change Cell::FromNextSlot(std::function<void()> change, std::uint64_t granted) {
    return [this, change = std::move(change), granted] {
        change();
        return m_mac->NextSlot() + granted;
    };
}

std::function<void()> Cell::SendAnalog(AnalogWish wish) {
    CheckSet("analog transfers");
    if (m_beamManagement) {
        throw std::invalid_argument("NR cell: an analog transfer with Beams '" + beams +
                                    "', of which one has a slot; legal are others, whose gNB receives at all ports");
    }
    for (const auto ue : wish.senders) {
        if (!m_links->Has(ue)) {
            throw std::invalid_argument("NR cell: UE " + std::to_string(ue) + "; here are " + m_links->Names());
        }
    }
    const std::uint64_t number = m_mac->Analog().Add(std::move(wish));
    m_mac->Wake();
    return [this, number] { m_mac->Analog().Cancel(number); };
}

void Cell::SetInterference(std::shared_ptr<InterferenceSource> source) {
    CheckSet("interference");
    m_links->SetInterference(std::move(source));
}

const Bearer& Cell::DownBearer(std::uint32_t ue, unsigned bearer) const {
    return GetBearers(ue, Direction::Downlink)[bearer];
}

const Bearer& Cell::UpBearer(std::uint32_t ue, unsigned bearer) const {
    return GetBearers(ue, Direction::Uplink)[bearer];
}

RadioLink::State Cell::GetRadioLink(std::uint32_t ue) const {
    m_mac->Of(ue, Direction::Downlink); // there is such a UE
    return m_links->Radio(ue).GetState();
}

void Cell::WatchSilent() {
    if (m_beamManagement) {
        m_beamManagement->Advance(m_mac->NextSlot());
    }
    for (const auto ue : m_links->Ues()) {
        m_links->Watch(ue, m_mac->NextSlot());
    }
}

double Cell::DownThroughputBps(std::uint32_t ue) const {
    return m_mac->Of(ue, Direction::Downlink).averageBps;
}

double Cell::UpThroughputBps(std::uint32_t ue) const {
    return m_mac->Of(ue, Direction::Uplink).averageBps;
}

std::int64_t Cell::AssignStreams(std::int64_t stream) {
    m_random->SetStream(stream);
    return 1;
}

void Cell::TracePackets(ReceivingEntity& entity, PacketRecord like) {
    entity.SetTrace([this, like](ns3::Time arrived, std::uint32_t bytes) {
        if (m_packetTrace.IsEmpty()) {
            return;
        }
        PacketRecord record = like;
        record.time_ns = ns3::Simulator::Now().GetNanoSeconds();
        record.arrived_ns = arrived.GetNanoSeconds();
        record.bytes = bytes;
        m_packetTrace(record);
    });
}

} // namespace edgelam::nr
