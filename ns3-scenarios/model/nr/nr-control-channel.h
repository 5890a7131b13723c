// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// How reliably control channels are received: PDCCH (TS 38.212 7.3, TS 38.213 10.1) and scheduling requests on PUCCH
/// (TS 38.211 6.3.2.3).
#pragma once

#include <array>

#include "nr-error-model.h"

namespace edgelam::nr {

/// The downlink control channel of a carrier. Its code is treated like the codes of the error model, with QPSK and a
/// code rate of 1/18 or more; the gain or loss of polar codes against them is not modelled.
class ControlChannel {
  public:
    /// \param symbols its symbols in a slot; 0: it takes no room, and is never full
    /// \param level aggregation level of all grants; 0: the lowest with which a UE misses at most 1 % of them
    /// Throws std::invalid_argument for a level that is not 0, 1, 2, 4, 8 or 16, or more than there are elements.
    ControlChannel(const ErrorModel& errors, unsigned numPrbs, unsigned symbols, unsigned level);

    /// Probability that a UE misses downlink control information of the size of format 1_0 in this number of control
    /// channel elements (CCE: 6 resource blocks in one symbol, a quarter of them DMRS). \param sinr linear
    double Loss(unsigned numCces, double sinr) const;
    /// Elements in a slot (TS 38.211 7.3.2.2), for a control resource set over the whole band.
    unsigned NumCces() const { return m_numCces; }
    /// Elements of a grant to a UE with this wideband SINR (linear): its aggregation level, at most 16 and at most the
    /// elements of a slot.
    unsigned Level(double sinr) const;

    /// Effective SINR, linear, below which layer 1 is out of sync and from which it is in sync: 10 % loss in 8 CCEs
    /// with 4 dB more power, and 2 % loss in 4 CCEs (TS 38.133 table 8.1.2.1-1).
    double outOfSync, inSync;

  private:
    double SinrFor(unsigned numCces, double loss) const;
    const ErrorModel& m_errors;
    double m_bits; ///< with CRC
    unsigned m_numCces, m_level;
    std::array<double, 5> m_levelSinr; ///< SINR from which 1, 2, 4, 8, 16 elements are enough
};

/// Probability that a known sequence is missed by a detector that compares its energy with a threshold.
/// \param energy of the whole sequence over the noise of a resource element, linear
/// \param falseAlarm probability that the threshold is exceeded without a signal
double MissedDetection(double energy, double falseAlarm);

/// Probability that a scheduling request is missed: PUCCH format 0 in one resource block and two symbols, detected by
/// its energy, with a false alarm in 1 % of the occasions that have no request.
/// \param snr of a resource element after the receiver's combining, linear
double RequestLoss(double snr);

} // namespace edgelam::nr
