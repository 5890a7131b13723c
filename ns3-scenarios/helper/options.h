// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The command line of a scenario: typed options with units, legal ranges and help. A mistake is one clear line and
/// exit status 2, never an abort inside ns-3.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "attribute-values.h"

namespace edgelam {

/// A mistake on the command line; the text names the option, the value and what is legal.
class OptionError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// A number that an option takes in another unit than the attribute it sets, whose help ends with ", UNIT.".
struct OtherUnit {
    std::string ofAttribute, ofOption;
    double factor = 1, divisor = 1; ///< attribute = option x factor / divisor
};

/// What a scenario says about an option that sets an attribute, if it knows more than the attribute does.
struct AttributeOption {
    std::string help = {}; ///< instead of the attribute's
    std::optional<double> smallest = {},
                          largest = {}; ///< a narrower range, as the option takes it; times: s, rates: bit/s
    std::string unit = {};              ///< behind the range, for a help without one
    OtherUnit scale = {};
    std::string zero = {}; ///< what 0 stands for, although the attribute does not take it: the scenario replaces it
};

/// Options bind variables that hold the defaults:
///
///     double rateBps = 100e6;
///     options.Rate("rate", rateBps, "rate of a device's link", 1e3, 1e12);     // --rate=100Mbps
class Options {
  public:
    Options(std::string name, std::string summary);

    /// The options that follow are under this heading in the help.
    void Section(const std::string& title);

    void Integer(const std::string& name, std::uint32_t& value, const std::string& help, std::uint32_t smallest,
                 std::uint32_t largest);
    /// A number that may be large: 1e9 is accepted.
    void Count(const std::string& name, std::uint64_t& value, const std::string& help, std::uint64_t smallest,
               std::uint64_t largest);
    /// A number whose unit the help names.
    void Real(const std::string& name, double& value, const std::string& unit, const std::string& help, double smallest,
              double largest);
    /// A rate in bit/s; understands bps, kbps, Mbps, Gbps.
    void Rate(const std::string& name, double& bps, const std::string& help, double smallest, double largest);
    /// A time in seconds; understands ns, us, ms, s, min, h.
    void Time(const std::string& name, double& seconds, const std::string& help, double smallest, double largest);
    void Choice(const std::string& name, std::string& value, const std::string& help,
                const std::vector<std::string>& legal);
    void Flag(const std::string& name, bool& value, const std::string& help);
    /// Any text.
    void Text(const std::string& name, std::string& value, const std::string& help);

    /// An option that gives an attribute its value: default, help and range are the attribute's, as far as `more` does
    /// not say otherwise. Numbers, times, rates, texts and Booleans; a default on the command line for the attribute
    /// itself is refused, as after Sets.
    void Attribute(const std::string& name, AttributeValues& values, const std::string& attribute,
                   const AttributeOption& more = {});
    /// One text of a list. \param help instead of the attribute's; empty: the attribute's
    void AttributeChoice(const std::string& name, AttributeValues& values, const std::string& attribute,
                         const std::vector<std::string>& legal, const std::string& help = {});

    /// Where an ns-3 attribute of the scenario comes from.
    struct AttributeSource {
        std::string attribute;
        std::string option; ///< the option to use instead; empty: there is none
    };
    /// The scenario itself sets these attributes of objects of a type. A default on the command line would have no
    /// effect, so Parse refuses it and names the option.
    void Sets(const std::string& type, const std::vector<AttributeSource>& attributes);

    /// Read `--name=value`, `--name value` and, for flags, `--name`. `--ns3::Type::Attribute=value` changes the
    /// default of an ns-3 attribute (attribute-default.h). Throws OptionError.
    /// `--attributes` and `--attributes=PREFIX` ask for a list of attributes instead of the help.
    /// \return false if --help or --attributes was asked for
    bool Parse(int argc, const char* const* argv);

    /// What --help prints, or --attributes if that was asked for.
    std::string Help() const;
    const std::string& name() const { return m_name; }

    /// A quantity with a unit: "5ms" with {{"ms", 1e-3}} is 0.005. Throws OptionError without option's name.
    struct Unit {
        std::string name;
        double factor;
    };

  private:
    struct Option {
        std::string name, help, shown, legal, section;
        bool flag = false;
        std::function<void(const std::string&)> set; ///< throws OptionError naming what is legal
    };
    void Add(Option option);
    void Quantity(const std::string& name, double& value, const std::string& help, double smallest, double largest,
                  const std::vector<Unit>& units);

    void AttributeNumber(const std::string& name, AttributeValues& values, const std::string& attribute,
                         const AttributeOption& more);
    void AttributeQuantity(const std::string& name, AttributeValues& values, const std::string& attribute,
                           const AttributeOption& more);
    void RefuseOverwritten(const std::string& attribute) const;

    std::string m_name;
    std::string m_summary;
    std::string m_section;
    std::vector<Option> m_options;
    std::vector<AttributeSource> m_sets;     ///< attributes by full name
    std::optional<std::string> m_attributes; ///< of types whose names begin so, if they are asked for
};

/// A number as people write it: 100000000 with units of bit/s is "100Mbps".
std::string WithUnit(double value, const std::vector<Options::Unit>& units);

} // namespace edgelam
