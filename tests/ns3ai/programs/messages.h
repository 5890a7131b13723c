// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Messages of the test programs, written as users of ns3-ai write them.
#ifndef MESSAGES_H
#define MESSAGES_H

#include <array>
#include <cstdint>

struct EnvStruct {
    uint32_t env_a;
    uint32_t env_b;
#ifdef ONE_FIELD_MORE
    uint64_t env_c;
#endif
};

struct ActStruct {
    uint32_t act_c;
};

struct CellState {
    uint16_t rnti;
    double sinr[3];
    std::array<float, 4> buffers;
    bool active;
};

struct CellWeight {
    uint16_t rnti;
    double weight;
};

#endif
