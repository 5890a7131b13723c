// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What the program radio-validation measures: each case adds its options and returns what to do once they are read.
/// Results are lines of JSON on stdout.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/uniform-planar-array.h"

#include "channel-testbed.h"
#include "nr-cell.h"
#include "options.h"

namespace edgelam::validation {

using Body = std::function<void()>;

Body Bler(Options& options);         ///< error rate against SINR, with HARQ
Body Peak(Options& options);         ///< delivered rate against transport blocks
Body Delay(Options& options);        ///< one-way delay of small packets
Body Distance(Options& options);     ///< throughput of one UE, drop by drop
Body Schedulers(Options& options);   ///< throughput of many UEs
Body Interference(Options& options); ///< SINR of blocks between many cells, and all that it follows from
Body DenseUrban(Options& options);   ///< spectral efficiency of multi-user MIMO in a city
Body Rlc(Options& options);          ///< acknowledged and unacknowledged mode over blocks that are lost

/// What several cases let the command line say of a cell.
struct CellOptions {
    AttributeValues attributes{"edgelam::nr::Cell"};
    double frequencyHz = 3.5e9;
    std::uint32_t seed = 1;
    void Add(Options& options);
};

/// One cell on a channel of its own, from the first event to the last. Attributes are set before Begin.
class OneCell {
  public:
    OneCell(const CellOptions& options, test::Settings channel, const test::End& gnb);
    ~OneCell();
    OneCell(const OneCell&) = delete;
    OneCell& operator=(const OneCell&) = delete;

    void Begin();
    std::uint32_t AddUe(const test::End& ue, bool acknowledged);
    /// Keep the bearers of every UE full from now on.
    void Fill(bool uplink, std::uint32_t packetBytes, std::uint64_t backlogBytes);
    void RunUntil(double seconds);

    ns3::Ptr<RadioChannel> channel;
    ns3::Ptr<nr::Cell> cell;
    /// Called for every packet that comes out.
    std::function<void(bool uplink, std::uint32_t ue, const ns3::Ptr<ns3::Packet>&)> onPacket;
    /// Called for every transmission of a transport block.
    std::function<void(const nr::TransportBlockRecord&)> onBlock;

  private:
    void Note(const nr::TransportBlockRecord& record) { onBlock(record); }
    test::End m_gnb;
    std::vector<test::End> m_ues;
};

} // namespace edgelam::validation
