// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Options and the registry of observables and controls.

#include <array>
#include <cstring>

#include "ns3/config.h"
#include "ns3/double.h"
#include "ns3/test.h"
#include "ns3/type-id.h"

#include "attribute-default.h"
#include "csi-publisher.h"
#include "nr-cell.h"
#include "options.h"
#include "registry.h"

using namespace edgelam;

namespace {

struct Beam {
    std::int32_t index;
    float gain;
};
EDGELAM_MESSAGE(Beam, index, gain)

class OptionsCase : public ns3::TestCase {
  public:
    OptionsCase() : TestCase("options: units, ranges, refusals") {}

  private:
    std::string Refusal(const char* argument) {
        std::uint32_t number = 4;
        double rate = 1e6, delay = 1e-3;
        std::string protocol = "tcp";
        Options options("test", "a test");
        options.Integer("numUe", number, "devices", 1, 10);
        options.Rate("rate", rate, "rate", 1e3, 1e9);
        options.Time("delay", delay, "delay", 0, 1);
        options.Choice("protocol", protocol, "protocol", {"tcp", "udp"});
        options.Sets("ns3::TcpSocket", {{"SegmentSize", "numUe"}, {"SndBufSize", "ns3::TcpSocket::SegmentSize"}});
        options.Sets("ns3::TcpSocketBase", {{"MinRto", ""}});
        const char* arguments[]{"test", argument};
        try {
            options.Parse(2, arguments);
        } catch (const OptionError& error) {
            return error.what();
        }
        m_number = number;
        m_rate = rate;
        m_delay = delay;
        return {};
    }
    void Refused(const char* argument, const char* text) {
        const std::string reason = Refusal(argument);
        NS_TEST_EXPECT_MSG_NE(reason.find(text), std::string::npos, argument << " gave '" << reason << "'");
    }
    void DoRun() override {
        NS_TEST_EXPECT_MSG_EQ(Refusal("--rate=2.5Mbps"), "", "legal");
        NS_TEST_EXPECT_MSG_EQ_TOL(m_rate, 2.5e6, 1e-6, "units of rates");
        NS_TEST_EXPECT_MSG_EQ(Refusal("--delay=20us"), "", "legal");
        NS_TEST_EXPECT_MSG_EQ_TOL(m_delay, 20e-6, 1e-12, "units of times");
        NS_TEST_EXPECT_MSG_EQ(Refusal("--numUe=7"), "", "legal");
        Refused("--attributes=ns3::NoSuch", "no ns-3 type with attributes has a name that begins so");
        Options options("test", "a test");
        const char* arguments[]{"test", "--attributes=ns3::RttMeanDeviation"};
        NS_TEST_EXPECT_MSG_EQ(options.Parse(2, arguments), false, "a list in place of a run");
        const std::string line = "--ns3::RttMeanDeviation::Alpha=0.125  ";
        NS_TEST_EXPECT_MSG_NE(options.Help().find(line), std::string::npos, options.Help());
        NS_TEST_EXPECT_MSG_EQ(m_number, 7u, "integers");
        Refused("--numUe=0", "--numUe=0 is not legal: it takes a whole number, 1 to 10");
        Refused("--numUe=2.5", "whole number");
        Refused("--numUe=-1", "1 to 10");
        Refused("--numUe=many", "1 to 10");
        Refused("--rate=5", "a number with a unit (bps, kbps, Mbps, Gbps), 1kbps to 1Gbps");
        Refused("--rate=nanMbps", "1kbps to 1Gbps");
        Refused("--rate=2Gbps", "1kbps to 1Gbps");
        Refused("--protocol=sctp", "tcp, udp");
        Refused("--numUE=3", "did you mean --numUe?");
        Refused("--numUe", "needs a value");
        Refused("numUe=3", "not of the form");
        Refused("--ns3::NoSuch::Thing=3", "no such ns-3 attribute");
        Refused("--ns3::TcpSocket::SegmentSize=3", "test sets this attribute itself; use --numUe");
        Refused("--ns3::TcpSocket::SndBufSize=3", "test sets this attribute itself; use --numUe"); // of the first
        NS_TEST_EXPECT_MSG_EQ(Refusal("--ns3::TcpSocketBase::MinRto=1ms"),
                              "option --ns3::TcpSocketBase::MinRto is not legal: test sets this attribute itself",
                              "there is nothing to use");
    }
    std::uint32_t m_number = 0;
    double m_rate = 0, m_delay = 0;
};

/// Options that are ns-3 attributes: default, help and range are the attribute's.
class AttributeOptionsCase : public ns3::TestCase {
  public:
    AttributeOptionsCase() : TestCase("options of attributes") {}

  private:
    static std::string Refusal(Options& options, const char* argument) {
        try {
            const char* arguments[]{"test", argument};
            options.Parse(2, arguments);
        } catch (const OptionError& error) {
            return error.what();
        }
        return {};
    }
    /// What a scenario may say of such an option itself; times and rates.
    void NarrowerThanTheAttribute() {
        AttributeValues array("ns3::UniformPlanarArray"), cell("edgelam::nr::Cell"), csi("edgelam::CsiPublisher"),
            device("ns3::PointToPointNetDevice");
        array.Set("NumRows", 8);
        cell.Set("MaxLayers", 0.0);
        device.SetBitsPerSecond("DataRate", 1e9);
        Options options("test", "a test");
        options.Attribute("rows", array, "NumRows", {.help = "rows of the array", .largest = 64});
        options.Attribute(
            "tilt", array, "DowntiltAngle",
            {.smallest = -90, .largest = 90, .unit = "degrees", .scale = {"radians", "degrees", 3.0, 180}});
        options.Attribute("layers", cell, "MaxLayers", {.zero = "as many as fit"});
        options.Attribute("period", csi, "Period", {.smallest = 1e-6, .largest = 1000});
        options.Attribute("rate", device, "DataRate", {.help = "rate of the link", .smallest = 1e6, .largest = 1e12});
        const std::string help = options.Help();
        for (const char* line :
             {"--rows=8", "rows of the array [1 to 64]", "--tilt=0", "[-90 to 90 degrees]", "--layers=0",
              "Greatest number of layers of a downlink block; 0: as many as fit. [0 to 4]", "--period=500us",
              "[1us to 16.66666667min]", "--rate=1Gbps", "rate of the link [1Mbps to 1000Gbps]"}) {
            NS_TEST_EXPECT_MSG_NE(help.find(line), std::string::npos, line << " in " << help);
        }
        for (const auto& [argument, text] : {std::pair{"--rows=65", "a whole number, 1 to 64"},
                                             {"--rows=0", "a whole number, 1 to 64"},
                                             {"--tilt=91", "a number, -90 to 90 degrees"},
                                             {"--layers=5", "a whole number, 0 to 4"},
                                             {"--period=0s", "a number with a unit (ns, us, ms, s, min, h), 1us to"},
                                             {"--rate=5", "a number with a unit (bps, kbps, Mbps, Gbps)"},
                                             {"--ns3::PointToPointNetDevice::DataRate=1Mbps", "use --rate"}}) {
            NS_TEST_EXPECT_MSG_NE(Refusal(options, argument).find(text), std::string::npos,
                                  argument << " gave " << Refusal(options, argument));
        }
        for (const char* argument : {"--rows=64", "--tilt=60", "--layers=4", "--period=1.5ms", "--rate=2.5Mbps"}) {
            NS_TEST_EXPECT_MSG_EQ(Refusal(options, argument), "", argument);
        }
        NS_TEST_EXPECT_MSG_EQ(array.Number("NumRows"), 64, "rows");
        NS_TEST_EXPECT_MSG_EQ(array.Number("DowntiltAngle"), 1, "60 degrees, with a pi of 3");
        NS_TEST_EXPECT_MSG_EQ(cell.Number("MaxLayers"), 4, "layers");
        NS_TEST_EXPECT_MSG_EQ(csi.Seconds("Period"), 1.5e-3, "period");
        NS_TEST_EXPECT_MSG_EQ(device.BitsPerSecond("DataRate"), 2.5e6, "rate");
        const auto publisher = ns3::CreateObject<CsiPublisher>();
        csi.Apply(publisher);
        ns3::TimeValue period;
        publisher->GetAttribute("Period", period);
        NS_TEST_EXPECT_MSG_EQ(period.Get(), ns3::MicroSeconds(1500), "of the object");
    }
    void DoRun() override {
        AttributeValues values("edgelam::nr::Cell");
        values.Set("UePower", 20.5); // of a kind of site
        Options options("test", "a test");
        options.Attribute("noise", values, "GnbNoiseFigure");
        options.Attribute("power", values, "UePower");
        options.Attribute("bandwidth", values, "Bandwidth", {.scale = {"Hz", "MHz", 1e6}});
        options.Attribute("k2", values, "K2");
        options.Attribute("pattern", values, "Pattern");
        options.AttributeChoice("combining", values, "Combining", {"ir", "chase"});
        const std::string help = options.Help();
        for (const char* line : {"--noise=5", "Noise figure of the gNB, dB. [0 to 100]", "--power=20.5",
                                 "--bandwidth=100", "5.3.2, MHz. [3 to 8000]", "--k2=0", "[0 to 32]", "--pattern=DDDSU",
                                 "[any text]", "--combining=ir", "[ir, chase]"}) {
            NS_TEST_EXPECT_MSG_NE(help.find(line), std::string::npos, line << " in " << help);
        }
        for (const auto& [argument, text] :
             {std::pair{"--noise=101", "--noise=101 is not legal: it takes a number, 0 to 100"},
              {"--noise=nan", "a number, 0 to 100"},
              {"--bandwidth=8001", "a number, 3 to 8000"},
              {"--k2=1.5", "a whole number, 0 to 32"},
              {"--k2=33", "a whole number, 0 to 32"},
              {"--combining=no", "one of them, ir, chase"},
              {"--edgelam::nr::Cell::K2=3", "test sets this attribute itself; use --k2"}}) {
            NS_TEST_EXPECT_MSG_NE(Refusal(options, argument).find(text), std::string::npos,
                                  argument << " gave " << Refusal(options, argument));
        }
        for (const char* argument : {"--noise=7.3", "--bandwidth=40", "--k2=3", "--pattern=FDD", "--combining=chase"}) {
            NS_TEST_EXPECT_MSG_EQ(Refusal(options, argument), "", argument);
        }
        const auto cell = ns3::CreateObject<nr::Cell>();
        values.Apply(cell);
        const auto real = [&](const char* name) {
            ns3::DoubleValue value;
            cell->GetAttribute(name, value);
            return value.Get();
        };
        NS_TEST_EXPECT_MSG_EQ(real("GnbNoiseFigure"), 7.3, "exact");
        NS_TEST_EXPECT_MSG_EQ(real("UePower"), 20.5, "of the site");
        NS_TEST_EXPECT_MSG_EQ(real("Bandwidth"), 40e6, "in the attribute's unit");
        NS_TEST_EXPECT_MSG_EQ(real("UeNoiseFigure"), 9, "nobody gave it");
        NarrowerThanTheAttribute();
        bool thrown = false;
        try {
            values.Of("NoSuch");
        } catch (const std::logic_error&) {
            thrown = true;
        }
        NS_TEST_EXPECT_MSG_EQ(thrown, true, "an attribute that the type does not have");
    }
};

/// Values that ns-3's own parsers abort at, or take though nobody can mean them.
class AttributeDefaultCase : public ns3::TestCase {
  public:
    AttributeDefaultCase() : TestCase("defaults of ns-3 attributes: refusals before ns-3 aborts") {}

  private:
    static std::string Refusal(const std::string& name, const std::string& value) {
        try {
            SetAttributeDefault(name, value);
        } catch (const OptionError& error) {
            return error.what();
        }
        return {};
    }
    void Refused(const std::string& name, const std::string& value, const std::string& text) {
        const std::string reason = Refusal(name, value);
        NS_TEST_EXPECT_MSG_NE(reason.find(text), std::string::npos, name << "=" << value << " gave '" << reason << "'");
        NS_TEST_EXPECT_MSG_NE(reason.find("--" + name + "=" + value), std::string::npos, "name and value: " << reason);
    }
    void DoRun() override {
        const std::string cell = "edgelam::nr::Cell::";
        for (const char* value : {"abc", "", "-3", "3x", "5e3", "4294967296", "nan", "-1", "33"}) {
            Refused(cell + "K2", value, "is not legal: it takes uint32_t 0:32");
        }
        for (const char* value : {"nan", "inf", "", "1e999", "0x10", "3dB", "11"}) {
            Refused(cell + "ImplementationGap", value, "is not legal: it takes double -1:10");
        }
        Refused(cell + "K2", "abc", "Least number of slots from a grant to its uplink block"); // the attribute's help
        Refused("ns3::TcpSocket::SegmentSize", "-5", "it takes uint32_t 0:4294967295");
        Refused("ns3::TcpSocketBase::UseEcn", "Perhaps", "it takes Off|On|AcceptOnly");
        Refused("ns3::TcpSocketBase::MinRto", "1lightyear", "it takes Time");
        Refused("ns3::TcpSocketBase::MinRto", "", "it takes Time");
        Refused("ns3::TcpL4Protocol::SocketType", "ns3::Nope", "it takes TypeId");
        Refused("ns3::PointToPointNetDevice::TxQueue", "ns3::Nope", "it takes ns3::Ptr");
        Refused("ns3::PointToPointNetDevice::TxQueue", "ns3::Node", "it takes ns3::Ptr");
        Refused("ns3::PointToPointNetDevice::DataRate", "5x", "it takes DataRate");
        Refused("ns3::TcpL4Protocol::SocketList", "4", "no default");

        Refused(cell + "CsiDealy", "1", "did you mean --edgelam::nr::Cell::CsiDelay?");
        Refused("edgelam::Cell::K2", "1", "did you mean --edgelam::nr::Cell::K2?");
        Refused("ns3::PcapFileWrapper::Nanosec", "1", "did you mean --ns3::PcapFileWrapper::NanosecMode?");
        Refused("ns3::TcpSocketBase::SegmentSize", "1", "did you mean --ns3::TcpSocket::SegmentSize?"); // its parent's
        Refused("nothing::like::it", "1", "no such ns-3 attribute");

        const std::string threshold = "ns3::TcpSocketBase::ReTxThreshold";
        NS_TEST_EXPECT_MSG_EQ(Refusal(threshold, "7"), "", "legal");
        ns3::TypeId::AttributeInformation information;
        ns3::TypeId::LookupByName("ns3::TcpSocketBase").LookupAttributeByName("ReTxThreshold", &information);
        NS_TEST_EXPECT_MSG_EQ(information.initialValue->SerializeToString(information.checker), "7", "changed");
        Refused(threshold, "seven", "it takes uint32_t");
        ns3::TypeId::LookupByName("ns3::TcpSocketBase").LookupAttributeByName("ReTxThreshold", &information);
        NS_TEST_EXPECT_MSG_EQ(information.initialValue->SerializeToString(information.checker), "7", "not changed");
        ns3::Config::Reset();
    }
};

class RegistryCase : public ns3::TestCase {
  public:
    RegistryCase() : TestCase("registry: types, shapes, refusals") {}

  private:
    static std::span<const std::byte> Bytes(const auto& values) { return std::as_bytes(std::span(values)); }

    void DoRun() override {
        Registry registry;
        registry.Publish<double>("scalar", "m", "one number", [] { return 2.5; });
        registry.Publish<std::vector<Beam>>("beams", "", "structs", [] { return std::vector<Beam>{{1, 2}, {3, 4}}; });
        registry.Publish<Array<float>>("matrix", "", "three by anything",
                                       [] { return Array<float>{{3, 2}, {0, 1, 2, 3, 4, 5}}; },
                                       {{"row", 3}, {"column"}});
        registry.Publish<Array<float>>("wrong", "", "not as announced", [] { return Array<float>{{2}, {0, 1}}; },
                                       {{"row", 3}});
        NS_TEST_EXPECT_MSG_EQ(registry.Read(0).bytes.size(), 8u, "scalar");
        NS_TEST_EXPECT_MSG_EQ(registry.Read(1).shape[0], 2, "as many as there are");
        NS_TEST_EXPECT_MSG_EQ(registry.Read(1).bytes.size(), 16u, "structs");
        NS_TEST_EXPECT_MSG_EQ(registry.Read(2).shape[1], 2, "a dimension that varies");
        NS_TEST_EXPECT_MSG_NE(registry.observables()[1].dtype.find("\"gain\""), std::string::npos, "fields travel");
        NS_TEST_EXPECT_MSG_EQ(registry.observables()[0].dtype, "\"<f8\"", "numpy's name of double");
        std::string refusal;
        try {
            registry.Read(3);
        } catch (const std::runtime_error& error) {
            refusal = error.what();
        }
        NS_TEST_EXPECT_MSG_NE(refusal.find("shape [2]"), std::string::npos, refusal);

        std::vector<float> got;
        registry.Control<Array<float>>("weights", "", "two by anything",
                                       [&](const Array<float>& value) -> std::string {
                                           if (value.values.size() > 4) {
                                               return "too many";
                                           }
                                           got = value.values;
                                           return {};
                                       },
                                       {{"row", 2}, {"column"}});
        NS_TEST_EXPECT_MSG_EQ(registry.Set(0, Bytes(std::array<float, 4>{1, 2, 3, 4})), "", "taken");
        NS_TEST_EXPECT_MSG_EQ(got.size(), 4u, "arrives");
        NS_TEST_EXPECT_MSG_EQ(registry.Set(0, Bytes(std::array<float, 6>{})), "too many", "refused by the scenario");
        NS_TEST_EXPECT_MSG_NE(registry.Set(0, Bytes(std::array<float, 3>{})).find("12 bytes were given"),
                              std::string::npos, "a shape that does not fit");
        registry.Control<double>("throws", "", "always",
                                 [](double value) -> std::string { return std::vector<std::string>().at(value > 0); });
        NS_TEST_EXPECT_MSG_EQ(registry.Set(1, Bytes(std::array<double, 1>{})).find("control 'throws': vector"), 0u,
                              "what a control's function throws is why not");
        bool twice = false;
        try {
            registry.Publish<double>("scalar", "m", "again", [] { return 0.0; });
        } catch (const std::invalid_argument&) {
            twice = true;
        }
        NS_TEST_EXPECT_MSG_EQ(twice, true, "one name, one thing");
    }
};

class HelperTestSuite : public ns3::TestSuite {
  public:
    HelperTestSuite() : TestSuite("edgelam-helpers", Type::UNIT) {
        AddTestCase(new OptionsCase, ns3::TestCase::Duration::QUICK);
        AddTestCase(new AttributeOptionsCase, ns3::TestCase::Duration::QUICK);
        AddTestCase(new AttributeDefaultCase, ns3::TestCase::Duration::QUICK);
        AddTestCase(new RegistryCase, ns3::TestCase::Duration::QUICK);
    }
};

const HelperTestSuite g_helperTestSuite;

} // namespace
