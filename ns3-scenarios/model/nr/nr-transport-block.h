// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The size of a transport block in bits (TS 38.214 5.1.3.2), its code blocks (TS 38.212), and the peak rate of a
/// carrier (TS 38.306 4.1.2).
#pragma once

#include <cstdint>

#include "nr-bands.h"
#include "nr-modulation.h"

namespace edgelam {
enum class Direction : std::uint8_t; // channel-link.h
}

namespace edgelam::nr {

/// Resource elements for data, TS 38.214 5.1.3.2 step 1: n_PRB x min(156, 12 x symbols - DMRS - overhead).
/// \param dmrsPerPrb resource elements of DMRS in one resource block, with CDM groups without data
/// \param overheadPerPrb xOverhead: 0, 6, 12 or 18
/// Throws std::invalid_argument for 0 resource blocks, symbols outside 1 to 14, another overhead, or if nothing is
/// left.
unsigned NumResourceElements(unsigned numPrbs, unsigned numSymbols, unsigned dmrsPerPrb, unsigned overheadPerPrb = 0);

/// Transport block size in bits, TS 38.214 5.1.3.2 steps 2 to 4, computed in integers.
/// \param numLayers of this codeword, 1 to 4
/// Throws std::invalid_argument for 0 resource elements or another number of layers.
unsigned TransportBlockSize(unsigned numResourceElements, const Mcs& mcs, unsigned numLayers);

/// A transport block divided according to TS 38.212: CRC attached (7.2.1), base graph chosen (7.2.2), segmented
/// (5.2.2).
struct CodeBlocks {
    unsigned transportBits; ///< A
    unsigned transportCrc;  ///< L: 16 or 24
    unsigned baseGraph;     ///< 1 or 2
    unsigned count;         ///< C
    unsigned codeBlockCrc;  ///< 0 or 24: of each code block
    unsigned infoBits;      ///< K': of each code block, with its CRC
    unsigned liftingSize;   ///< Zc
    unsigned paddedBits;    ///< K: 22 Zc or 10 Zc, with filler bits
    /// Bits of one code block in the circular buffer (at most N = 66 Zc or 50 Zc) that can be sent, which means without
    /// filler bits.
    unsigned bufferBits;
};

/// \param transportBits from TransportBlockSize: A and the CRCs together must be divisible by the number of code
/// blocks. Throws std::invalid_argument if they are not, or for 0.
/// \param limitedBits N_ref x C of limited-buffer rate matching (TS 38.212 5.4.2.1): the buffers of all code blocks
/// together; 0: not limited (I_LBRM = 0)
CodeBlocks Segment(unsigned transportBits, const Mcs& mcs, unsigned limitedBits = 0);

/// The limit for a downlink carrier (TS 38.212 5.4.2.1): 3/2 of the largest transport block that a UE may be sent, with
/// the highest modulation of its table, code rate 948/1024 and 156 resource elements in each resource block.
unsigned LimitedBufferBits(McsTable table, unsigned numPrbs, unsigned maxLayers);

/// Share of resource elements that carry no data, from TS 38.306 4.1.2: FR1 0.14 down, 0.08 up; FR2 0.18 down, 0.10 up.
/// FR3, which the standard does not have, takes the values of FR1.
double PeakRateOverhead(FrequencyRange range, Direction direction);

/// Highest data rate of one carrier from TS 38.306 4.1.2, bit/s: layers x Q_m x scaling x 948/1024 x N_RB x 12 x 14 x
/// 2^mu x 1000 x (1 - overhead). It takes neither TDD nor the quantisation of transport blocks into account.
double PeakRateBps(FrequencyRange range, Direction direction, unsigned mu, unsigned numResourceBlocks,
                   unsigned numLayers, unsigned bitsPerSymbol, double scaling = 1);

} // namespace edgelam::nr
