// SPDX-License-Identifier: GPL-2.0-only
// Error rate of one transport block against SINR in AWGN, for every MCS of a table.
#include <cmath>
#include <cstdio>
#include <memory>

#include "cases.h"
#include "nr-harq.h"

namespace edgelam::validation {

namespace {

constexpr double least_bler = 1e-6;

struct Settings {
    std::uint32_t table = 2, prbs = 50, transmissions = 1;
    double gapDb = nr::ErrorModel::ldpc, stepDb = 0.1;
    std::string combining = "ir";
};

void Print(const Settings& settings) {
    using namespace nr;
    const ErrorModel model(settings.gapDb);
    const McsTable table = McsTableOf(settings.table);
    const unsigned elements = NumResourceElements(settings.prbs, 12, 12);
    for (unsigned mcs = 0; mcs < NumMcs(table); ++mcs) {
        const Mcs& scheme = McsAt(table, mcs);
        const CodeBlocks blocks = Segment(TransportBlockSize(elements, scheme, 1), scheme);
        std::printf("{\"mcs\": %u, \"bits_per_symbol\": %u, \"code_rate\": %.6f, \"transport_bits\": %u, "
                    "\"code_blocks\": %u, \"points\": [",
                    mcs, unsigned{scheme.bitsPerSymbol}, scheme.CodeRate(), blocks.transportBits, blocks.count);
        const char* comma = "";
        for (int step = 0;; ++step) {
            const double sinrDb = -30 + settings.stepDb * step;
            SoftBuffer soft;
            for (unsigned sent = 0; sent < settings.transmissions; ++sent) {
                soft.Add(std::pow(10, sinrDb / 10), double(elements) * scheme.bitsPerSymbol,
                         settings.combining == "ir" ? RedundancyVersion(sent) : 0);
            }
            const double bler = soft.ErrorRate(model, blocks, scheme.bitsPerSymbol);
            if (bler < 1 - least_bler) {
                std::printf("%s[%.3f, %.6e]", comma, sinrDb, bler);
                comma = ", ";
            }
            if (bler < least_bler || sinrDb > 50) {
                break;
            }
        }
        std::printf("]}\n");
    }
}

} // namespace

Body Bler(Options& options) {
    auto settings = std::make_shared<Settings>();
    options.Integer("mcsTable", settings->table, "of TS 38.214", 1, 4);
    options.Integer("prbs", settings->prbs, "resource blocks, of 12 symbols with 12 elements of DMRS", 1, 275);
    options.Real("gap", settings->gapDb, "dB", "from the normal approximation; -1: of LDPC codes", -1, 10);
    options.Real("step", settings->stepDb, "dB", "between two points", 0.01, 5);
    options.Integer("transmissions", settings->transmissions, "of the block, all at this SINR", 1, 16);
    options.Choice("combining", settings->combining, "of transmissions", {"ir", "chase"});
    return [settings] { Print(*settings); };
}

} // namespace edgelam::validation
