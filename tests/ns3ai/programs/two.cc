// SPDX-License-Identifier: GPL-2.0-only
// Two interfaces in one process: vectors, whose size changes, and structs beside them.
#include "messages.h"

#include <cassert>
#include <ns3/ai-module.h>
#include <ns3/core-module.h>

using namespace ns3;

NS_LOG_COMPONENT_DEFINE("Two");

namespace {

class Cells : public Object {
  public:
    static TypeId GetTypeId() {
        static TypeId tid = TypeId("ns3::TestCells").SetParent<Object>().AddConstructor<Cells>();
        return tid;
    }
    Cells() {
        auto interface = Singleton<Ns3AiMsgInterface>::Get();
        interface->SetNames("cells seg", "cells to python", "weights to cpp", "cells lock");
        interface->SetUseVector(true);
        m_interface = interface->GetInterface<CellState, CellWeight>();
        interface->SetUseVector(false);
    }
    void Ask(uint32_t cells) {
        assert(m_interface->GetCpp2PyVector()->capacity() > cells);
        m_interface->CppSendBegin();
        auto* states = m_interface->GetCpp2PyVector();
        states->resize(cells);
        for (uint32_t i = 0; i < cells; ++i) {
            states->at(i).rnti = 10 + i;
            (*states)[i].sinr[2] = 0.5 * i;
            states->at(i).buffers[3] = 7.0f;
            states->at(i).active = i % 2;
        }
        m_interface->CppSendEnd();
        m_interface->CppRecvBegin();
        double sum = 0;
        for (const CellWeight& each : *m_interface->GetPy2CppVector()) {
            NS_ABORT_MSG_IF(each.rnti < 10, "a weight for no cell");
            sum += each.weight;
        }
        std::cout << "cells " << m_interface->GetPy2CppVector()->size() << " sum " << sum << std::endl;
        m_interface->CppRecvEnd();
    }

  private:
    Ns3AiMsgInterfaceImpl<CellState, CellWeight>* m_interface;
};

void Add(uint32_t a, uint32_t b) {
    auto interface = Ns3AiMsgInterface::Get()->GetInterface<EnvStruct, ActStruct>();
    interface->CppSendBegin();
    *interface->GetCpp2PyStruct() = {a, b};
    interface->CppSendEnd();
    interface->CppRecvBegin();
    std::cout << Simulator::Now().GetSeconds() << " s: " << interface->GetPy2CppStruct()->act_c << std::endl;
    interface->CppRecvEnd();
}

} // namespace

int main(int argc, char* argv[]) {
    bool structs = true, atStart = false;
    CommandLine cmd;
    cmd.AddValue("atStart", "open the second interface at once, not when it is first used", atStart);
    cmd.AddValue("structs", "the second interface too", structs);
    cmd.Parse(argc, argv);
    Ns3AiMsgInterface::Get()->SetIsMemoryCreator(false);
    Ns3AiMsgInterface::Get()->SetHandleFinish(true);
    auto cells = CreateObject<Cells>();
    Ns3AiMsgInterface::Get()->SetNames("sum seg", "env", "act", "lock");
    if (atStart) {
        Ns3AiMsgInterface::Get()->GetInterface<EnvStruct, ActStruct>();
    }
    for (uint32_t i = 1; i <= 3; ++i) {
        Simulator::Schedule(Seconds(i), &Cells::Ask, cells, i);
        if (structs) {
            Simulator::Schedule(Seconds(i), &Add, i, 100);
        }
    }
    Simulator::Run();
    Simulator::Destroy();
}
