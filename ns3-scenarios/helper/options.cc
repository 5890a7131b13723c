// SPDX-License-Identifier: GPL-2.0-only
#include "options.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "attribute-default.h"

namespace edgelam {

namespace {

// Smallest first.
const std::vector<Options::Unit> rate_units{{"bps", 1}, {"kbps", 1e3}, {"Mbps", 1e6}, {"Gbps", 1e9}};
const std::vector<Options::Unit> time_units{{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3},
                                            {"s", 1},     {"min", 60},  {"h", 3600}};

/// Shortest text that reads back as the same number, near enough for a help text.
std::string Number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.10g", value);
    return text;
}

/// A finite number and what follows it.
bool ReadNumber(const std::string& text, double& value, std::string& rest) {
    char* end = nullptr;
    value = std::strtod(text.c_str(), &end);
    rest = end;
    return end != text.c_str() && std::isfinite(value);
}

/// A number without a unit within limits. Throws OptionError.
double ParseNumber(const std::string& text, double smallest, double largest, bool whole) {
    double number;
    std::string rest;
    if (!ReadNumber(text, number, rest) || !rest.empty() || (whole && number != std::floor(number)) ||
        number < smallest || number > largest) {
        throw OptionError(whole ? "a whole number" : "a number");
    }
    return number;
}

/// A number with a unit. Throws OptionError.
double ParseQuantity(const std::string& text, double smallest, double largest,
                     const std::vector<Options::Unit>& units) {
    double number;
    std::string rest;
    const bool read = ReadNumber(text, number, rest);
    const auto unit = std::find_if(units.begin(), units.end(), [&](const auto& u) { return u.name == rest; });
    if (!read || unit == units.end() || number * unit->factor < smallest || number * unit->factor > largest) {
        std::string names;
        for (const auto& each : units) {
            names += (names.empty() ? "" : ", ") + each.name;
        }
        throw OptionError("a number with a unit (" + names + ")");
    }
    return number * unit->factor;
}

/// One of the texts of a list. Throws OptionError.
const std::string& ParseChoice(const std::string& text, const std::vector<std::string>& legal) {
    if (std::find(legal.begin(), legal.end(), text) == legal.end()) {
        throw OptionError("one of them");
    }
    return text;
}

/// Throws OptionError.
bool ParseFlag(const std::string& text) {
    static const std::vector<std::string> legal{"true", "1", "false", "0"};
    ParseChoice(text, legal);
    return text == "true" || text == "1";
}

std::string ListOf(const std::vector<std::string>& names) {
    std::string list;
    for (const auto& each : names) {
        list += (list.empty() ? "" : ", ") + each;
    }
    return list;
}

} // namespace

std::string WithUnit(double value, const std::vector<Options::Unit>& units) {
    const Options::Unit* best = &units.front();
    for (const auto& unit : units) {
        if (std::abs(value) >= unit.factor * (1 - 1e-12)) {
            best = &unit;
        }
    }
    return Number(value / best->factor) + best->name;
}

Options::Options(std::string name, std::string summary) : m_name(std::move(name)), m_summary(std::move(summary)) {}

void Options::Section(const std::string& title) {
    m_section = title;
}

void Options::Add(Option option) {
    option.section = m_section;
    m_options.push_back(std::move(option));
}

void Options::Integer(const std::string& name, std::uint32_t& value, const std::string& help, std::uint32_t smallest,
                      std::uint32_t largest) {
    const std::string legal = std::to_string(smallest) + " to " + std::to_string(largest);
    Add({name, help, std::to_string(value), legal, {}, false, [&value, smallest, largest](const std::string& text) {
             value = static_cast<std::uint32_t>(ParseNumber(text, smallest, largest, true));
         }});
}

void Options::Count(const std::string& name, std::uint64_t& value, const std::string& help, std::uint64_t smallest,
                    std::uint64_t largest) {
    const std::string legal = std::to_string(smallest) + " to " + Number(static_cast<double>(largest));
    Add({name, help, std::to_string(value), legal, {}, false, [&value, smallest, largest](const std::string& text) {
             value = static_cast<std::uint64_t>(
                 ParseNumber(text, static_cast<double>(smallest), static_cast<double>(largest), true));
         }});
}

void Options::Real(const std::string& name, double& value, const std::string& unit, const std::string& help,
                   double smallest, double largest) {
    const std::string suffix = unit.empty() ? "" : " " + unit;
    const std::string legal = Number(smallest) + " to " + Number(largest) + suffix;
    Add({name, help, Number(value), legal, {}, false, [&value, smallest, largest](const std::string& text) {
             value = ParseNumber(text, smallest, largest, false);
         }});
}

void Options::Quantity(const std::string& name, double& value, const std::string& help, double smallest, double largest,
                       const std::vector<Unit>& units) {
    const std::string legal = WithUnit(smallest, units) + " to " + WithUnit(largest, units);
    Add({name,
         help,
         WithUnit(value, units),
         legal,
         {},
         false,
         [&value, smallest, largest, &units](const std::string& text) {
             value = ParseQuantity(text, smallest, largest, units);
         }});
}

void Options::Rate(const std::string& name, double& bps, const std::string& help, double smallest, double largest) {
    Quantity(name, bps, help, smallest, largest, rate_units);
}

void Options::Time(const std::string& name, double& seconds, const std::string& help, double smallest, double largest) {
    Quantity(name, seconds, help, smallest, largest, time_units);
}

void Options::Choice(const std::string& name, std::string& value, const std::string& help,
                     const std::vector<std::string>& legal) {
    Add({name, help, value, ListOf(legal), {}, false, [&value, legal](const std::string& text) {
             value = ParseChoice(text, legal);
         }});
}

void Options::Flag(const std::string& name, bool& value, const std::string& help) {
    Add({name, help, value ? "true" : "false", "true, false", {}, true, [&value](const std::string& text) {
             value = ParseFlag(text);
         }});
}

void Options::Text(const std::string& name, std::string& value, const std::string& help) {
    Add({name, help, value, "any text", {}, false, [&value](const std::string& text) { value = text; }});
}

void Options::AttributeChoice(const std::string& name, AttributeValues& values, const std::string& attribute,
                              const std::vector<std::string>& legal, const std::string& help) {
    Add({name,
         help.empty() ? values.Of(attribute).help : help,
         values.Text(attribute),
         ListOf(legal),
         {},
         false,
         [&values, attribute, legal](const std::string& text) { values.Set(attribute, ParseChoice(text, legal)); }});
    Sets(values.type(), {{attribute, name}});
}

void Options::Attribute(const std::string& name, AttributeValues& values, const std::string& attribute,
                        const AttributeOption& more) {
    const auto about = values.Of(attribute);
    const std::string& help = more.help.empty() ? about.help : more.help;
    if (about.kind == "ns3::BooleanValue") {
        Add({name,
             help,
             values.Text(attribute),
             "true, false",
             {},
             true,
             [&values, attribute](const std::string& text) {
                 values.Set(attribute, std::string(ParseFlag(text) ? "true" : "false"));
             }});
    } else if (about.kind == "ns3::StringValue") {
        Add({name, help, values.Text(attribute), "any text", {}, false, [&values, attribute](const std::string& text) {
                 values.Set(attribute, text);
             }});
    } else if (about.kind == "ns3::TimeValue" || about.kind == "ns3::DataRateValue") {
        AttributeQuantity(name, values, attribute, more);
    } else if (about.smallest && about.largest) {
        AttributeNumber(name, values, attribute, more);
    } else {
        throw std::logic_error("option --" + name + ": " + about.kind + " is no number, time, rate, text or Boolean");
    }
    Sets(values.type(), {{attribute, name}});
}

void Options::AttributeNumber(const std::string& name, AttributeValues& values, const std::string& attribute,
                              const AttributeOption& more) {
    auto about = values.Of(attribute);
    const auto& scale = more.scale;
    const double toOption = scale.divisor / scale.factor;
    const double smallest = !more.zero.empty() ? 0 : more.smallest.value_or(*about.smallest * toOption);
    const double largest = more.largest.value_or(*about.largest * toOption);
    const bool whole = about.kind != "ns3::DoubleValue";
    std::string help = more.help.empty() ? about.help : more.help;
    if (const std::string end = ", " + scale.ofAttribute + "."; !scale.ofAttribute.empty() && help.ends_with(end)) {
        help.replace(help.size() - end.size(), end.size(), ", " + scale.ofOption + ".");
    }
    if (!more.zero.empty()) {
        help = help.substr(0, help.find_last_not_of('.') + 1) + "; 0: " + more.zero + ".";
    }
    Add({name,
         help,
         Number(values.Number(attribute) * toOption),
         Number(smallest) + " to " + Number(largest) + (more.unit.empty() ? "" : " ") + more.unit,
         {},
         false,
         [&values, attribute, smallest, largest, whole, factor = scale.factor,
          divisor = scale.divisor](const std::string& text) {
             values.Set(attribute, ParseNumber(text, smallest, largest, whole) * factor / divisor);
         }});
}

/// A time or a rate, with its unit.
void Options::AttributeQuantity(const std::string& name, AttributeValues& values, const std::string& attribute,
                                const AttributeOption& more) {
    if (!more.smallest || !more.largest) {
        throw std::logic_error("option --" + name + ": give the range, which the attribute " + attribute +
                               " does not have");
    }
    const auto about = values.Of(attribute);
    const bool time = about.kind == "ns3::TimeValue";
    const auto& units = time ? time_units : rate_units;
    Add({name,
         more.help.empty() ? about.help : more.help,
         WithUnit(time ? values.Seconds(attribute) : values.BitsPerSecond(attribute), units),
         WithUnit(*more.smallest, units) + " to " + WithUnit(*more.largest, units),
         {},
         false,
         [&values, attribute, smallest = *more.smallest, largest = *more.largest, time,
          &units](const std::string& text) {
             const double value = ParseQuantity(text, smallest, largest, units);
             if (time) {
                 values.SetSeconds(attribute, value);
             } else {
                 values.SetBitsPerSecond(attribute, value);
             }
         }});
}

void Options::Sets(const std::string& type, const std::vector<AttributeSource>& attributes) {
    for (const auto& each : attributes) {
        m_sets.push_back({type + "::" + each.attribute, each.option});
    }
}

void Options::RefuseOverwritten(const std::string& attribute) const {
    const auto find = [&](const std::string& name) {
        return std::find_if(m_sets.begin(), m_sets.end(), [&](const auto& each) { return each.attribute == name; });
    };
    const auto set = find(attribute);
    if (set == m_sets.end()) {
        return;
    }
    std::string instead = set->option;
    for (auto next = find(instead); next != m_sets.end(); next = find(instead)) { // one that is overwritten in turn
        instead = next->option;
    }
    throw OptionError("option --" + attribute + " is not legal: " + m_name + " sets this attribute itself" +
                      (instead.empty() ? "" : "; use --" + instead));
}

bool Options::Parse(int argc, const char* const* argv) {
    bool help = false;
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        if (argument == "--help" || argument == "-h") {
            help = true;
            continue;
        }
        if (const std::string name = "--attributes"; argument == name || argument.rfind(name + "=", 0) == 0) {
            m_attributes = argument == name ? "edgelam::" : argument.substr(name.size() + 1);
            if (DescribeAttributes(*m_attributes).empty()) {
                throw OptionError("option " + argument + ": no ns-3 type with attributes has a name that begins so");
            }
            continue;
        }
        if (argument.rfind("--", 0) != 0) {
            throw OptionError("argument '" + argument + "' is not of the form --option=value; see --help");
        }
        const auto equals = argument.find('=');
        const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
        const bool hasValue = equals != std::string::npos;
        std::string value = hasValue ? argument.substr(equals + 1) : "";
        const auto take = [&] {
            if (!hasValue) {
                if (i + 1 >= argc) {
                    throw OptionError("option --" + name + " needs a value: --" + name + "=VALUE");
                }
                value = argv[++i];
            }
        };
        if (name.find("::") != std::string::npos) {
            take();
            RefuseOverwritten(name);
            SetAttributeDefault(name, value);
            continue;
        }
        const auto option =
            std::find_if(m_options.begin(), m_options.end(), [&](const Option& o) { return o.name == name; });
        if (option == m_options.end()) {
            std::string names, nearest;
            std::size_t distance = std::min<std::size_t>(4, name.size() / 2 + 1);
            for (const auto& each : m_options) {
                const bool full = names.size() - names.rfind('\n') + each.name.size() > 100;
                names += (names.empty() ? "" : full ? ",\n  " : ", ") + ("--" + each.name);
                if (const auto d = EditDistance(each.name, name); d < distance) {
                    distance = d;
                    nearest = each.name;
                }
            }
            throw OptionError("option --" + name + " is unknown" +
                              (nearest.empty() ? "; there are\n  " + names
                                               : "; did you mean --" + nearest + "? --help lists all options"));
        }
        if (option->flag) {
            value = hasValue ? value : "true";
        } else {
            take();
        }
        try {
            option->set(value);
        } catch (const OptionError& expected) {
            throw OptionError("option --" + name + "=" + value + " is not legal: it takes " + expected.what() + ", " +
                              option->legal);
        }
    }
    return !help && !m_attributes;
}

std::string Options::Help() const {
    if (m_attributes) {
        return DescribeAttributes(*m_attributes);
    }
    std::string text = m_name + ": " + m_summary + "\n\nusage: " + m_name + " [--option=value ...]\n";
    std::string section;
    for (const auto& option : m_options) {
        if (option.section != section) {
            section = option.section;
            text += "\n" + section + "\n";
        }
        std::string head = "  --" + option.name + "=" + option.shown;
        head.resize(std::max<std::size_t>(head.size() + 2, 30), ' ');
        text += head + option.help + " [" + option.legal + "]\n";
    }
    text += "\nThe values shown are the defaults. --ns3::Type::Attribute=value changes the default of any ns-3 "
            "attribute that the scenario does not set itself; --attributes lists those of edgelam's types, "
            "--attributes=ns3::Tcp those of all types whose names begin so.\n";
    return text;
}

} // namespace edgelam
