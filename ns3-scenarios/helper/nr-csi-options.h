// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a program outside the simulation is told of the channel: the options of it.
#pragma once

#include <cstdint>
#include <string>

#include "options.h"

namespace edgelam {

struct NrCsiOptions {
    std::string pairs = "serving", source = "perfect";
    std::uint32_t bits = 0;

    /// Add the section "Channel knowledge" to a scenario's command line.
    void AddOptions(Options& options) {
        options.Section("Channel knowledge of programs");
        options.Choice(
            "csiPairs", pairs,
            "of which cells and UEs ue_channel tells, and for which precoder is taken: each UE and its cell; "
            "all; or those of the control csi_pairs",
            {"serving", "all", "selected"});
        options.Choice(
            "csiSource", source,
            "what ue_channel tells: the channel as it is; what SRS of the UEs, or CSI-RS of the cells, show of "
            "it: noisy, every CsiPeriod slots, CsiDelay slots later; or what UEs report at these times with "
            "the enhanced Type II codebook",
            {"perfect", "srs", "csi-rs", "etype2"});
        options.Integer("csiBits", bits,
                        "bits of the real part, and of the imaginary part, of each coefficient of ue_channel; 0: float",
                        0, 16);
    }
};

} // namespace edgelam
