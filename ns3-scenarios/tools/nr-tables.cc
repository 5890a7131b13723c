// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Answers questions about NR's tables, for programs outside: one line of standard input each, one line of standard
/// output each.
///
///     tbs PRBS SYMBOLS DMRS OVERHEAD BITS_PER_SYMBOL RATE_X_2048 LAYERS
///         -> SIZE GRAPH CODE_BLOCKS BITS_PER_CODE_BLOCK LIFTING_SIZE CRC
///     bler BITS_PER_SYMBOL INFO_BITS SYMBOLS SINR_DB GAP_DB
///         -> ERROR_RATE
///     eesm BETA SINR...
///         -> EFFECTIVE_SINR
///     schemes TABLE
///         -> BITS_PER_SYMBOL RATE_X_2048 BETA of each MCS of that table of TS 38.214 5.1.3.1
///     speed
///         -> NS_PER_TRANSPORT_BLOCK NS_PER_SINR_OF_EESM

#include <chrono>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "nr-error-model.h"

using namespace edgelam::nr;

namespace {

void AnswerSize(std::istream& in) {
    unsigned prbs = 0, symbols = 0, dmrs = 0, overhead = 0, bits = 0, rate = 0, layers = 0;
    in >> prbs >> symbols >> dmrs >> overhead >> bits >> rate >> layers;
    const Mcs mcs{static_cast<std::uint8_t>(bits), static_cast<std::uint16_t>(rate)};
    const unsigned size = TransportBlockSize(NumResourceElements(prbs, symbols, dmrs, overhead), mcs, layers);
    const auto blocks = Segment(size, mcs);
    std::cout << size << ' ' << blocks.baseGraph << ' ' << blocks.count << ' ' << blocks.infoBits << ' '
              << blocks.liftingSize << ' ' << blocks.transportCrc << '\n';
}

void AnswerErrorRate(std::istream& in) {
    unsigned bits = 0;
    double info = 0, symbols = 0, sinrDb = 0, gapDb = 0;
    in >> bits >> info >> symbols >> sinrDb >> gapDb;
    std::cout << ErrorModel(gapDb).CodeBlockErrorRate(bits, info, symbols, std::pow(10, sinrDb / 10)) << '\n';
}

void AnswerEesm(std::istream& in) {
    double beta = 0;
    in >> beta;
    std::vector<float> sinr;
    for (float value = 0; in >> value;) {
        sinr.push_back(value);
    }
    std::cout << EffectiveSinr(sinr, beta) << '\n';
}

void AnswerSchemes(std::istream& in) {
    unsigned number = 0;
    in >> number;
    const auto table = McsTableOf(number);
    for (unsigned mcs = 0; mcs < NumMcs(table); ++mcs) {
        const Mcs& scheme = McsAt(table, mcs);
        std::cout << (mcs == 0 ? "" : " ") << unsigned{scheme.bitsPerSymbol} << ' ' << scheme.rate2048 << ' '
                  << EesmBeta(table, mcs);
    }
    std::cout << '\n';
}

void AnswerSpeed() {
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point start, double count) {
        return std::chrono::duration<double, std::nano>(Clock::now() - start).count() / count;
    };
    const ErrorModel model;
    const auto& mcs = McsAt(McsTable::Qam256, 20);
    const unsigned elements = NumResourceElements(273, 12, 12);
    double sum = 0;
    constexpr int rounds = 200'000;
    auto start = Clock::now();
    for (int i = 0; i < rounds; ++i) {
        const auto blocks = Segment(TransportBlockSize(elements - static_cast<unsigned>(i % 64), mcs, 2), mcs);
        sum += model.TransportBlockErrorRate(blocks, 8, 16.0 * elements, 80 + 1e-4 * i);
    }
    const double perBlock = since(start, rounds);
    std::vector<float> sinr(1092);
    for (std::size_t i = 0; i < sinr.size(); ++i) {
        sinr[i] = 50 + 49 * std::sin(static_cast<float>(i));
    }
    start = Clock::now();
    constexpr int eesmRounds = 2000;
    for (int i = 0; i < eesmRounds; ++i) {
        sinr[0] = static_cast<float>(i);
        sum += EffectiveSinr(sinr, 56);
    }
    const double perSinr = since(start, eesmRounds * static_cast<double>(sinr.size()));
    std::cout << perBlock << ' ' << perSinr << ' ' << (sum > 0) << '\n';
}

} // namespace

int main() {
    std::cout << std::setprecision(12);
    for (std::string line, verb; std::getline(std::cin, line);) {
        std::istringstream in(line);
        in >> verb;
        try {
            if (verb == "tbs") {
                AnswerSize(in);
            } else if (verb == "bler") {
                AnswerErrorRate(in);
            } else if (verb == "eesm") {
                AnswerEesm(in);
            } else if (verb == "schemes") {
                AnswerSchemes(in);
            } else if (verb == "speed") {
                AnswerSpeed();
            } else {
                throw std::invalid_argument("unknown question '" + line + "'");
            }
        } catch (const std::exception& error) {
            std::cerr << "nr-tables: " << error.what() << '\n';
            return 2;
        }
    }
    return 0;
}
