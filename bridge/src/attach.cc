// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/attach.h"

#include <map>
#include <sstream>
#include <vector>

#include "edgelam/bridge/errors.h"

namespace edgelam::bridge {

std::string Hello::ToText() const {
    std::string plain_name = name;
    for (char& c : plain_name) {
        if (static_cast<unsigned char>(c) < ' ') {
            c = ' ';
        }
    }
    return "version\t" + std::to_string(version) + "\nparticipant\t" + std::to_string(participant) + "\npid\t" +
           std::to_string(pid) + "\nname\t" + plain_name.substr(0, 64) + "\n\n" + schema;
}

Hello Hello::FromText(const std::string& text) {
    Hello hello;
    const auto end = text.find("\n\n");
    std::map<std::string, std::string> values;
    std::istringstream lines(text.substr(0, end));
    for (std::string line; std::getline(lines, line);) {
        const auto tab = line.find('\t');
        values[line.substr(0, tab)] = tab == std::string::npos ? "" : line.substr(tab + 1);
    }
    try {
        hello.version = static_cast<std::uint32_t>(std::stoul(values.at("version")));
        hello.participant = std::stoi(values.at("participant"));
        hello.pid = std::stoi(values.at("pid"));
    } catch (const std::logic_error&) {
        throw BridgeError("a participant introduced itself in a way that cannot be read");
    }
    hello.name = values["name"];
    hello.schema = end == std::string::npos ? "" : text.substr(end + 2);
    return hello;
}

std::string CompareSchemas(const std::string& who, const std::string& theirs, const std::string& ours) {
    if (theirs == ours) {
        return "";
    }
    // key -> (theirs, ours), in the order of first appearance
    std::vector<std::string> keys;
    std::map<std::string, std::pair<std::string, std::string>> facts;
    const auto read = [&](const std::string& schema, bool is_ours) {
        std::istringstream lines(schema);
        for (std::string line; std::getline(lines, line);) {
            const auto tab = line.find('\t');
            const std::string key = line.substr(0, tab);
            const auto [fact, added] = facts.try_emplace(key, "nothing", "nothing");
            if (added) {
                keys.push_back(key);
            }
            (is_ours ? fact->second.second : fact->second.first) = tab == std::string::npos ? "" : line.substr(tab + 1);
        }
    };
    read(theirs, false);
    read(ours, true);
    std::string text;
    int differences = 0;
    for (const auto& key : keys) {
        const auto& [a, b] = facts[key];
        if (a != b && ++differences <= 6) {
            text += "\n  " + key + ": " + who + " has " + a + ", the scenario has " + b;
        }
    }
    if (differences > 6) {
        text += "\n  and " + std::to_string(differences - 6) + " more";
    }
    if (differences == 0) {
        text = "\n  the order of the messages";
    }
    return text;
}

} // namespace edgelam::bridge
