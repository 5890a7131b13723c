// SPDX-License-Identifier: GPL-2.0-only
#include "shared-memory.h"

#include <stdexcept>

#include "ns3/log.h"

NS_LOG_COMPONENT_DEFINE("EdgelamSharedMemory");

namespace edgelam {

SharedBlock::~SharedBlock() {
    if (m_ref.size_bytes > 0 && *m_arena) {
        bridge::Quietly([this] { (*m_arena)->Release(m_ref); });
    }
}

std::shared_ptr<SharedBlock> SharedMemory::Allocate(std::size_t bytes) {
    if (bytes == 0) {
        throw std::invalid_argument("a block of 0 bytes; legal is at least 1");
    }
    NS_LOG_LOGIC("block of " << bytes << " bytes in " << (*m_arena ? "the arena" : "private memory"));
    std::shared_ptr<SharedBlock> block(new SharedBlock);
    if (*m_arena) {
        block->m_arena = m_arena;
        block->m_bytes = (*m_arena)->Allocate(bytes, block->m_ref);
    } else {
        block->m_private.resize(bytes);
        block->m_bytes = block->m_private;
    }
    return block;
}

void SharedMemory::Connect(bridge::Arena* arena) {
    NS_LOG_INFO((arena ? "connected to an arena" : "no arena any more"));
    if (*m_arena) {
        *m_arena = nullptr; // blocks of it have nothing to give back to any more
        m_arena = std::make_shared<bridge::Arena*>(nullptr);
    }
    *m_arena = arena;
}

} // namespace edgelam
