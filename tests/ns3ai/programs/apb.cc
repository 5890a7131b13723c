// SPDX-License-Identifier: GPL-2.0-only
// a + b in the struct kind: apb [rounds] [how it ends]
#include "messages.h"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <ns3/ai-module.h>

using namespace ns3;

int main(int argc, char* argv[]) {
    const std::string how = argc > 2 ? argv[2] : "";
    auto interface = Ns3AiMsgInterface::Get();
    interface->SetIsMemoryCreator(how == "creator");
    interface->SetUseVector(false);
    interface->SetHandleFinish(true);
    if (const char* segment = std::getenv("SEGMENT")) {
        interface->SetNames(segment, "env", "act", "lock");
    }
    if (how == "trial") { // as programs for later versions of ns3-ai do
        interface->SetTrialName("single_trial");
    }
    Ns3AiMsgInterfaceImpl<EnvStruct, ActStruct>* msgInterface = interface->GetInterface<EnvStruct, ActStruct>();
    if (how == "asked-first") { // Python sends before there is anything to answer
        msgInterface->CppRecvBegin();
        std::cout << "asked for " << msgInterface->GetPy2CppStruct()->act_c << std::endl;
        msgInterface->CppRecvEnd();
    }
    for (int i = 0; i < std::stoi(argc > 1 ? argv[1] : "1000"); ++i) {
        msgInterface->CppSendBegin();
        msgInterface->GetCpp2PyStruct()->env_a = i;
        msgInterface->GetCpp2PyStruct()->env_b = 2 * i;
        msgInterface->CppSendEnd();
        msgInterface->CppRecvBegin();
        if (msgInterface->GetPy2CppStruct()->act_c != 3u * i) {
            std::cout << "wrong sum" << std::endl;
            return 3;
        }
        msgInterface->CppRecvEnd();
    }
    if (how == "send-and-exit") { // the last observation wants no answer
        msgInterface->CppSendBegin();
        msgInterface->GetCpp2PyStruct()->env_a = 77;
        msgInterface->CppSendEnd();
    } else if (how == "abort") {
        std::abort();
    } else if (how == "read") { // a file named from the root of ns-3's source tree
        std::string line;
        std::getline(std::ifstream("scratch/words.txt"), line);
        std::cout << "read " << line << std::endl;
    } else if (how == "exit-5") {
        std::cerr << "five it is" << std::endl;
        return 5;
    } else if (how == "receive-twice") {
        msgInterface->CppRecvBegin();
    }
    std::cout << "all sums were right" << std::endl;
}
