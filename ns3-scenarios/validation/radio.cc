// SPDX-License-Identifier: GPL-2.0-only
// Measures what `edgelam run radio-validation` shows of the NR cell: one case a run, lines of JSON on stdout.
//
// Try:     radio-validation peak --pattern=FDD --gnbPower=90
// Expect:  {"slot_s": 0.0005, "prbs": 273, ...}: 1179864 bits in every slot

#include <cstdio>
#include <map>
#include <stdexcept>
#include <string>

#include <sys/prctl.h>

#include <csignal>

#include "cases.h"

int main(int argc, char* argv[]) {
    using namespace edgelam::validation;
    static const std::map<std::string, Body (*)(edgelam::Options&)> cases{{"bler", Bler},
                                                                          {"peak", Peak},
                                                                          {"delay", Delay},
                                                                          {"distance", Distance},
                                                                          {"schedulers", Schedulers},
                                                                          {"rlc", Rlc},
                                                                          {"dense-urban", DenseUrban},
                                                                          {"interference", Interference}};
    prctl(PR_SET_PDEATHSIG, SIGKILL); // nobody waits for the results of a parent that is gone
    const auto chosen = argc > 1 ? cases.find(argv[1]) : cases.end();
    if (chosen == cases.end()) {
        std::string known;
        for (const auto& [name, make] : cases) {
            known += (known.empty() ? "" : ", ") + name;
        }
        std::fprintf(stderr, "radio-validation: first comes the case: %s; then its options (--help)\n", known.c_str());
        return 2;
    }
    edgelam::Options options("radio-validation " + chosen->first, "validation of the NR cell");
    try {
        const Body body = chosen->second(options);
        if (!options.Parse(argc - 1, argv + 1)) {
            std::printf("%s", options.Help().c_str());
            return 0;
        }
        body();
    } catch (const std::exception& error) { // an option, or settings that do not go together
        std::fprintf(stderr, "radio-validation %s: %s\n", chosen->first.c_str(), error.what());
        return 2;
    }
    return 0;
}
