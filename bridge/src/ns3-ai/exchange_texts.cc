// SPDX-License-Identifier: GPL-2.0-only
#include "exchange_texts.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <utility>
#include <vector>

#include <cxxabi.h>
#include <unistd.h>

#include "edgelam/bridge/errors.h"
#include "python_process.h"

namespace edgelam::bridge {

namespace {

constexpr std::uint32_t exchange_version = 2;
bool g_failing = false;

std::vector<std::string> Lines(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
    }
    return lines;
}

} // namespace

const char* NameOf(Side side) {
    return side == Side::cpp ? "C++" : "Python";
}

std::string Quote(const std::string& text) {
    return "'" + text + "'";
}

const char* BeginOf(Direction direction) {
    return direction == Direction::send ? "SendBegin" : "RecvBegin";
}

const char* EndOf(Direction direction) {
    return direction == Direction::send ? "SendEnd" : "RecvEnd";
}

std::string Call(Side caller, const char* what) {
    return std::string(caller == Side::cpp ? "Cpp" : "Py") + what + "()";
}

std::string Describe(const ExchangeOptions& options) {
    std::ostringstream text;
    text << "version of the exchange\t" << exchange_version << "\nkind of message\t"
         << (options.vector ? "vector" : "struct") << '\n';
    for (const auto& [sender, layout] :
         {std::pair(Side::cpp, &options.from_cpp), {Side::python, &options.from_python}}) {
        const std::string message = std::string("message that ") + NameOf(sender) + " sends";
        text << "size of the " << message << '\t' << layout->size_bytes << " bytes\nalignment of the " << message
             << '\t' << layout->alignment << " bytes\n";
    }
    return text.str();
}

std::string Differences(const std::string& creator, const std::string& opener) {
    const auto ours = Lines(creator), theirs = Lines(opener);
    if (ours.size() != theirs.size()) {
        return "\n  they speak different versions: build both against the same edgelam";
    }
    std::string text;
    for (std::size_t i = 0; i < ours.size(); ++i) {
        if (ours[i] != theirs[i]) {
            const auto tab = ours[i].find('\t'), their_tab = theirs[i].find('\t');
            text += "\n  " + ours[i].substr(0, tab) + ": " + ours[i].substr(tab + 1) + " where the memory was made, " +
                    theirs[i].substr(their_tab + 1) + " where it is opened";
        }
    }
    return text;
}

void FailExchange(const std::string& text) {
    if (InPython()) {
        throw BridgeError(text);
    }
    std::fflush(stdout);
    std::fprintf(stderr, "edgelam: %s\n", text.c_str());
    if (std::exchange(g_failing, true)) {
        ::_exit(1); // an object that is destroyed on the way out has called us again
    }
    std::exit(1);
}

bool FailingExchange() {
    return g_failing;
}

std::string TypeName(const char* mangled) {
    int status = 0;
    const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(mangled, nullptr, nullptr, &status),
                                                      std::free);
    return status == 0 ? name.get() : mangled;
}

} // namespace edgelam::bridge
