// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Two ends of a radio link, channels, and test cases that are functions.
#pragma once

#include <complex>
#include <functional>
#include <initializer_list>
#include <numbers>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "ns3/boolean.h"
#include "ns3/constant-position-mobility-model.h"
#include "ns3/constant-velocity-mobility-model.h"
#include "ns3/double.h"
#include "ns3/isotropic-antenna-model.h"
#include "ns3/node.h"
#include "ns3/pointer.h"
#include "ns3/string.h"
#include "ns3/test.h"
#include "ns3/three-gpp-antenna-model.h"
#include "ns3/uinteger.h"
#include "ns3/uniform-planar-array.h"

#include "planar-array.h"
#include "radio-channel.h"

namespace edgelam::test {

using Complex = std::complex<double>;
using Response = std::vector<std::complex<float>>;

/// A test that is a function.
class Case : public ns3::TestCase {
  public:
    Case(const std::string& name, std::function<void(Case&)> body) : ns3::TestCase(name), m_body(std::move(body)) {}
    void True(bool condition, const std::string& what) { NS_TEST_EXPECT_MSG_EQ(condition, true, what); }
    void Near(double actual, double expected, double tolerance, const std::string& what) {
        NS_TEST_EXPECT_MSG_EQ_TOL(actual, expected, tolerance, what);
    }
    /// `body` throws E, and the text has all of `parts`.
    template<class E = std::invalid_argument>
    void Refuses(const std::function<void()>& body, const std::vector<std::string>& parts, const std::string& what) {
        try {
            body();
        } catch (const E& error) {
            for (const auto& part : parts) {
                True(std::string(error.what()).find(part) != std::string::npos,
                     what + ": '" + part + "' is missing in: " + error.what());
            }
            return;
        }
        True(false, what + ": not refused");
    }

  private:
    void DoRun() override { m_body(*this); }
    std::function<void(Case&)> m_body;
};

/// A suite of tests that are functions.
class CaseSuite : public ns3::TestSuite {
  public:
    CaseSuite(const std::string& name, std::initializer_list<std::pair<const char*, void (*)(Case&)>> cases)
        : ns3::TestSuite(name, Type::UNIT) {
        for (const auto& [title, body] : cases) {
            AddTestCase(new Case(title, body), Duration::QUICK);
        }
    }
};

struct End {
    ns3::Ptr<ns3::Node> node;
    ns3::Ptr<ns3::ConstantVelocityMobilityModel> mobility;
    ns3::Ptr<ns3::UniformPlanarArray> array;

    void MoveTo(const ns3::Vector& place) const { mobility->SetPosition(place); }
};

/// A node with an array of rows x columns, dual-polarised (+-45 degrees) or not; isotropic elements or those of
/// TR 38.901 table 7.3-1.
inline End MakeEnd(const ns3::Vector& place, std::uint32_t rows = 1, std::uint32_t columns = 1, bool dual = false,
                   bool isotropic = true) {
    End end{ns3::CreateObject<ns3::Node>(), ns3::CreateObject<ns3::ConstantVelocityMobilityModel>(),
            MakePlanarArray(rows, columns, dual, isotropic ? ElementPattern::Isotropic : ElementPattern::Sector)};
    end.node->AggregateObject(end.mobility);
    end.mobility->SetPosition(place);
    return end;
}

struct Settings {
    std::string deployment = "UMa", los = "Never", angles = "Frozen";
    double frequency = 2.4e9;
    std::int64_t stream = 7;
    bool shadowing = true;
};

inline ns3::Ptr<RadioChannel> MakeChannel(const Settings& settings = {}) {
    auto channel = ns3::CreateObject<RadioChannel>();
    channel->SetAttribute("Deployment", ns3::StringValue(settings.deployment));
    channel->SetAttribute("LosState", ns3::StringValue(settings.los));
    channel->SetAttribute("Angles", ns3::StringValue(settings.angles));
    channel->SetAttribute("Frequency", ns3::DoubleValue(settings.frequency));
    channel->SetAttribute("Shadowing", ns3::BooleanValue(settings.shadowing));
    channel->AssignStreams(settings.stream);
    return channel;
}

inline ns3::Ptr<ChannelLink> Link(const ns3::Ptr<RadioChannel>& channel, const End& a, const End& b) {
    return channel->GetLink(a.mobility, a.array, b.mobility, b.array);
}

/// `count` frequencies around the carrier, `spacing` apart.
inline std::vector<double> Tones(std::size_t count, double spacingHz = 180e3) {
    std::vector<double> tones(count);
    for (std::size_t i = 0; i < count; ++i) {
        tones[i] = (static_cast<double>(i) - 0.5 * static_cast<double>(count - 1)) * spacingHz;
    }
    return tones;
}

inline Response Measure(const ns3::Ptr<ChannelLink>& link, const std::vector<double>& tones,
                        Direction direction = Direction::Downlink) {
    Response h(link->NumRx(direction) * link->NumTx(direction) * tones.size());
    link->GetFrequencyResponse(direction, tones, h);
    return h;
}

inline double Power(const Response& h) {
    double sum = 0;
    for (const auto& value : h) {
        sum += std::norm(Complex(value));
    }
    return sum;
}

/// |a - b|^2 / |b|^2
inline double Difference(const Response& a, const Response& b) {
    double sum = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        sum += std::norm(Complex(a[i]) - Complex(b[i]));
    }
    return sum / Power(b);
}

} // namespace edgelam::test
