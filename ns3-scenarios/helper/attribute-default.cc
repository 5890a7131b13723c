// SPDX-License-Identifier: GPL-2.0-only
#include "attribute-default.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <map>
#include <numeric>
#include <optional>
#include <sys/wait.h>
#include <system_error>
#include <unistd.h>
#include <vector>

#include "ns3/config.h"
#include "ns3/string.h"
#include "ns3/type-id.h"

#include "options.h"

namespace edgelam {

using ns3::TypeId;

namespace {

/// Of the type itself: ns-3 changes the default of an inherited attribute only by the name of the type that has it.
std::optional<TypeId::AttributeInformation> OwnAttribute(const TypeId& type, const std::string& attribute) {
    for (std::size_t i = 0; i < type.GetAttributeN(); ++i) {
        if (auto information = type.GetAttribute(i); information.name == attribute) {
            return information;
        }
    }
    return std::nullopt;
}

bool HasChangeableDefault(const TypeId::AttributeInformation& attribute) {
    return (attribute.flags & TypeId::ATTR_CONSTRUCT) != 0 && attribute.accessor->HasSetter() &&
           attribute.supportLevel != TypeId::SupportLevel::OBSOLETE;
}

/// What its values are, for people.
std::string Legal(const TypeId::AttributeInformation& attribute) {
    return attribute.checker->HasUnderlyingTypeInformation() ? attribute.checker->GetUnderlyingTypeInformation()
                                                             : "a value";
}

/// The attribute's full name where a parent of the type has it; otherwise the nearest of all, or nothing.
std::string Suggestion(const std::string& typeName, const std::string& attribute) {
    if (TypeId type; TypeId::LookupByNameFailSafe(typeName, &type)) {
        for (; type.HasParent(); type = type.GetParent()) {
            if (OwnAttribute(type.GetParent(), attribute)) {
                return type.GetParent().GetName() + "::" + attribute;
            }
        }
    }
    const std::string name = typeName + "::" + attribute;
    std::string nearest;
    std::size_t distance = name.size() / 3;
    for (std::uint16_t t = 0; t < TypeId::GetRegisteredN(); ++t) {
        const TypeId type = TypeId::GetRegistered(t);
        for (std::size_t i = 0; i < type.GetAttributeN(); ++i) {
            const std::string candidate = type.GetAttributeFullName(i);
            if (const auto d = EditDistance(candidate, name); d < distance) {
                distance = d;
                nearest = candidate;
            }
        }
    }
    return nearest;
}

/// Whether ns-3 takes this value. Many of its parsers abort the process instead of saying no, so a child tries.
bool IsTaken(const std::string& name, const std::string& value) {
    const pid_t child = fork();
    if (child < 0) {
        throw std::system_error(errno, std::generic_category(), "cannot try the value of --" + name);
    }
    if (child == 0) {
        std::signal(SIGABRT, [](int) { _exit(1); }); // no core file
        const int nothing = open("/dev/null", O_WRONLY | O_CLOEXEC);
        dup2(nothing, STDOUT_FILENO);
        dup2(nothing, STDERR_FILENO);
        bool taken = false;
        try {
            taken = ns3::Config::SetDefaultFailSafe(name, ns3::StringValue(value));
        } catch (...) { // also a refusal
        }
        _exit(taken ? 0 : 1);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// What ns-3 takes without a word though nobody can mean it: nothing for a number, a time, an address; and a negative
/// number for an unsigned one, which it wraps round.
bool IsNonsense(const std::string& kind, const std::string& value) {
    return (value.empty() && kind != "ns3::StringValue") || (kind == "ns3::UintegerValue" && value.front() == '-');
}

} // namespace

std::size_t EditDistance(const std::string& a, const std::string& b) {
    std::vector<std::size_t> row(b.size() + 1);
    std::iota(row.begin(), row.end(), 0);
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0]++;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = diagonal + (std::tolower(a[i - 1]) != std::tolower(b[j - 1]));
            diagonal = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
        }
    }
    return row[b.size()];
}

std::string DescribeAttributes(const std::string& prefix) {
    std::map<std::string, std::string> types; // by name: the order of registration differs between builds
    for (std::uint16_t t = 0; t < TypeId::GetRegisteredN(); ++t) {
        const TypeId type = TypeId::GetRegistered(t);
        if (type.GetName().rfind(prefix, 0) != 0) {
            continue;
        }
        for (std::size_t i = 0; i < type.GetAttributeN(); ++i) {
            if (const auto attribute = type.GetAttribute(i); HasChangeableDefault(attribute)) {
                types[type.GetName()] += "  --" + type.GetAttributeFullName(i) + "=" +
                                         attribute.initialValue->SerializeToString(attribute.checker) + "  " +
                                         attribute.help + " [" + Legal(attribute) + "]\n";
            }
        }
    }
    std::string text;
    for (const auto& [name, lines] : types) {
        text += (text.empty() ? "" : "\n") + name + "\n" + lines;
    }
    return text;
}

void SetAttributeDefault(const std::string& name, const std::string& value) {
    const std::string option = "option --" + name + "=" + value;
    const auto colons = name.rfind("::");
    const std::string typeName = name.substr(0, colons), attribute = name.substr(colons + 2);
    TypeId type;
    std::optional<TypeId::AttributeInformation> information;
    if (TypeId::LookupByNameFailSafe(typeName, &type)) {
        information = OwnAttribute(type, attribute);
    }
    if (!information) {
        const std::string suggestion = Suggestion(typeName, attribute);
        throw OptionError(option + ": there is no such ns-3 attribute" +
                          (suggestion.empty() ? "" : "; did you mean --" + suggestion + "?"));
    }
    if (!HasChangeableDefault(*information)) {
        throw OptionError(option + ": this ns-3 attribute has no default that could be changed");
    }
    const std::string kind = information->checker->GetValueTypeName();
    if (IsNonsense(kind, value) || !IsTaken(name, value)) {
        throw OptionError(option + " is not legal: it takes " + Legal(*information) + " (" + kind + "); " +
                          information->help);
    }
    ns3::Config::SetDefault(name, ns3::StringValue(value));
}

} // namespace edgelam
