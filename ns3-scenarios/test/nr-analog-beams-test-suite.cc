// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Analog beams: codebook, SSBs and L1-RSRP by hand, the best pair by trying all, what sweeps cost, when beams change.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "nr-cell-testbed.h"

using namespace edgelam;
using namespace edgelam::nr;
using namespace edgelam::test;

namespace {

constexpr double pi = std::numbers::pi;
const Settings street{.deployment = "UMi", .los = "Always", .frequency = 28e9};

Attributes Analog(Attributes more = {}) {
    Attributes all{Set("Numerology", 3u), Set("Beams", "analog")};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

std::pair<std::string, ns3::Ptr<ns3::AttributeValue>> Ms(const std::string& name, int ms) {
    return {name, ns3::Create<ns3::TimeValue>(ns3::MilliSeconds(ms))};
}

/// Power of a port's weights towards spatial frequencies, over that of one element.
double Gain(const PortWeights& weights, std::size_t port, unsigned columns, std::size_t places, double row,
            double column) {
    Complex sum = 0;
    for (std::size_t place = 0; place < places; ++place) {
        const double turns = row * double(place / columns) + column * double(place % columns);
        sum += Complex(weights.values()[place * weights.numPorts() + port]) * std::polar(1.0, 2 * pi * turns);
    }
    return std::norm(sum);
}

/// |sin(N pi x) / (N sin(pi x))|^2: what N elements lose x turns beside a beam.
double Loss(unsigned n, double x) {
    return n == 1 || x == 0 ? 1 : std::pow(std::sin(n * pi * x) / (n * std::sin(pi * x)), 2);
}

/// Beams are orthonormal, have the gain of the elements that radiate, and between beams lose no more than at the corner
/// of a part of the grid.
void Codebook(Case& test) {
    const End end = MakeEnd({}, 4, 8, true);
    for (const auto [rows, columns, oversampling] :
         {std::array{4u, 8u, 2u}, {4u, 4u, 2u}, {2u, 8u, 1u}, {1u, 1u, 1u}}) {
        AnalogCodebook codebook(*end.array, rows, columns, oversampling);
        const std::string name = std::to_string(rows) + " x " + std::to_string(columns) + ": ";
        const unsigned narrowRows = (oversampling * 4 + rows - 1) / rows,
                       narrowColumns = (oversampling * 8 + columns - 1) / columns;
        test.True(codebook.NumPorts() == 2 && codebook.NumSweep() == rows * columns &&
                      codebook.NumNarrow() == narrowRows * narrowColumns &&
                      codebook.NumBeams() == rows * columns * (1 + narrowRows * narrowColumns),
                  name + "numbers");
        double worst = 0;
        for (std::uint32_t a = 0; a < codebook.NumSweep(); ++a) {
            for (std::uint32_t b = 0; b < codebook.NumSweep(); ++b) {
                for (unsigned p = 0; p < 4; ++p) { // pairs of ports
                    Complex dot = 0;
                    for (std::size_t e = 0; e < 64; ++e) {
                        dot += std::conj(Complex(codebook.Weights(a).values()[2 * e + p / 2])) *
                               Complex(codebook.Weights(b).values()[2 * e + p % 2]);
                    }
                    worst = std::max(worst, std::abs(dot - double(a == b && p / 2 == p % 2)));
                }
            }
        }
        test.True(worst < 1e-6, name + "orthonormal, but for " + std::to_string(worst));
        const auto at = codebook.At(0);
        test.Near(Gain(codebook.Weights(0), 0, 8, 32, at.row, at.column), rows * columns, 1e-3, name + "gain");
        test.Near(at.row, 0.5 / rows - 0.5, 1e-12, name + "first row");
        test.Near(at.column, 0.5 / columns - 0.5, 1e-12, name + "first column");
        // Any direction: the best beam of the sweep, then the best narrow one around it.
        double least = 1, leastNarrow = 1;
        for (int i = 0; i < 400; ++i) {
            const double row = std::fmod(0.618034 * i, 1) - 0.5, column = std::fmod(0.754878 * i, 1) - 0.5;
            std::uint32_t best = 0;
            double most = 0;
            for (std::uint32_t b = 0; b < codebook.NumSweep(); ++b) {
                const double gain = Gain(codebook.Weights(b), 0, 8, 32, row, column);
                if (gain > most) {
                    most = gain;
                    best = b;
                }
            }
            least = std::min(least, most / (rows * columns));
            double narrow = 0;
            for (std::uint32_t k = 0; k < codebook.NumNarrow(); ++k) {
                const std::uint32_t beam = codebook.Narrow(best, k);
                test.True(codebook.IsNarrow(beam) && codebook.SweepOf(beam) == best, "narrow");
                narrow = std::max(narrow, Gain(codebook.Weights(beam), 0, 8, 32, row, column));
            }
            leastNarrow = std::min(leastNarrow, narrow / 32);
        }
        const double corner = Loss(rows, 0.5 / rows) * Loss(columns, 0.5 / columns);
        const double narrowCorner = Loss(4, 0.5 / (rows * narrowRows)) * Loss(8, 0.5 / (columns * narrowColumns));
        test.True(least > corner - 1e-6 && least < 2 * corner, name + "between beams " + std::to_string(least));
        test.True(leastNarrow > narrowCorner - 1e-6 && leastNarrow < 1.5 * narrowCorner,
                  name + "between narrow beams " + std::to_string(leastNarrow));
    }
    // Sixteen elements side by side lose up to 3.9 dB, and half of their beams' distance .9 dB.
    test.Near(-10 * std::log10(Loss(16, 1 / 32.0)), 3.91, 0.01, "scalloping");
    test.Near(-10 * std::log10(Loss(16, 1 / 64.0)), 0.91, 0.01, "scalloping of narrow beams");
    test.Refuses([&] { AnalogCodebook(*end.array, 5, 8, 2); }, {"5 x 8", "4 x 8"}, "more beams than rows");
    test.Refuses([&] { AnalogCodebook(*end.array, 4, 0, 2); }, {"4 x 0"}, "no beams");
}

/// All panels of an array have the same beam, and each is a port for each polarisation.
void Panels(Case& test) {
    const auto array = MakeArray({.rows = 2, .columns = 2, .polarisations = 2, .panelRows = 1, .panelColumns = 2});
    AnalogCodebook codebook(*array, 2, 2, 1);
    test.True(codebook.NumPorts() == 4, "ports");
    const auto& values = codebook.Weights(3).values(); // frequencies 1/4, 1/4
    for (unsigned place = 0; place < 8; ++place) {     // 2 rows of 4
        const unsigned row = place / 4, column = place % 4 % 2, panel = place % 4 / 2;
        for (unsigned p = 0; p < 2; ++p) {
            for (unsigned port = 0; port < 4; ++port) {
                const Complex expected = port == 2 * panel + p ? std::polar(0.5, -pi / 2 * (row + column)) : Complex(0);
                test.Near(std::abs(Complex(values[(p * 8 + place) * 4 + port]) - expected), 0, 1e-6, "weight");
            }
        }
    }
}

Carrier CarrierOf(unsigned mu, const std::string& pattern, double frequencyHz, double bandwidthHz) {
    CellSettings settings;
    settings.mu = mu;
    settings.pattern = pattern;
    settings.bandwidthHz = bandwidthHz;
    return {settings, frequencyHz};
}

/// TS 38.213 4.1 written out.
void BlocksByHand(Case& test) {
    const auto at = [](unsigned mu, double hz) { return SsbCandidates(Numerology(mu), hz); };
    test.True(at(0, 2e9) == std::vector<SsbPlace>{{0, 2, 4}, {0, 8, 4}, {1, 2, 4}, {1, 8, 4}}, "case A");
    test.True(at(1, 3.5e9).size() == 8 && at(1, 3.5e9).back() == SsbPlace{3, 8, 4}, "case C");
    const auto d = at(3, 28e9);
    test.True(d.size() == 64, "case D: " + std::to_string(d.size()));
    test.True(std::vector(d.begin(), d.begin() + 5) ==
                  std::vector<SsbPlace>{{0, 4, 4}, {0, 8, 4}, {1, 2, 4}, {1, 6, 4}, {2, 4, 4}},
              "the first of case D");
    test.True(d[16] == SsbPlace{10, 4, 4} && d.back() == SsbPlace{37, 6, 4}, "case D leaves slots free");
    test.True(at(2, 28e9).size() == 64 && at(2, 28e9)[1] == SsbPlace{0, 4, 2}, "60 kHz");
    test.True(at(6, 60e9).size() == 64 && at(6, 60e9).back() == SsbPlace{31, 9, 4}, "case G");
    // DDDSU at 120 kHz: uplink slots 4, 14, 24, 34 have no block; the special ones 3, 13, 23, 33 keep theirs.
    const Carrier carrier = CarrierOf(3, "DDDSU", 28e9, 100e6);
    test.True(SsbBurst::Room(carrier) == 56, "room for " + std::to_string(SsbBurst::Room(carrier)));
    const SsbBurst burst(carrier, 16);
    test.True(burst.Length() == 11 && burst.PeriodSlots() == 160, "length " + std::to_string(burst.Length()));
    unsigned symbols = 0;
    for (std::uint64_t slot = 0; slot < 160; ++slot) {
        symbols += burst.Symbols(slot);
        const bool used = slot < 8 ? slot != 4 : slot == 10;
        test.True(burst.Symbols(slot) == (used ? 8u : 0u) && burst.Symbols(slot + 320) == burst.Symbols(slot), "slot");
    }
    test.True(symbols == 16 * 4, "symbols");
    test.True(burst.EndedBefore(10) == 0 && burst.EndedBefore(11) == 1 && burst.EndedBefore(170) == 1 &&
                  burst.EndedBefore(171) == 2 && burst.LastSlot(1) == 170,
              "ends");
    test.Refuses([&] { SsbBurst(carrier, 57); }, {"57 SSBs", "DDDSU", "1 to 56"}, "too many");
}

/// The tables of TS 38.133 10.1.6.
void ReportByHand(Case& test) {
    for (const auto [dbm, value] : {std::pair{-150.0, 16u},
                                    {-140.01, 16u},
                                    {-140.0, 17u},
                                    {-139.01, 17u},
                                    {-139.0, 18u},
                                    {-100.5, 56u},
                                    {-44.01, 112u},
                                    {-44.0, 113u},
                                    {-20.0, 113u}}) {
        test.True(ReportedRsrp(dbm) == value, std::to_string(dbm) + " dBm: " + std::to_string(ReportedRsrp(dbm)));
    }
    for (const auto [db, value] : {std::pair{0.0, 0u}, {1.99, 0u}, {2.0, 1u}, {29.99, 14u}, {30.0, 15u}, {99.0, 15u}}) {
        test.True(ReportedDifference(db) == value, std::to_string(db) + " dB");
    }
    const auto report = ReportBeams(std::vector{-95.0, -80.4, -83.0, -80.4, -120.0}, 4);
    test.True(report.size() == 4 && report[0].beam == 1 && report[1].beam == 3 && report[2].beam == 2 &&
                  report[3].beam == 0,
              "order");
    test.Near(report[0].rsrpDbm, -81, 1e-9, "strongest");
    test.Near(report[1].rsrpDbm, -81, 1e-9, "equal");
    test.Near(report[2].rsrpDbm, -83, 1e-9, "2.6 dB below: one step");
    test.Near(report[3].rsrpDbm, -95, 1e-9, "14.6 dB below: seven steps");
    // TS 38.212 table 6.3.1.1.2-6: indicators of 4 bits and 7 + 3 x 4 bits of RSRP; of 3 bits and 7 + 4; 6 and 7.
    test.True(BeamReportBits(16, 4) == 35 && BeamReportBits(5, 2) == 17 && BeamReportBits(64, 1) == 13, "bits");
    test.True(BeamReportBits(2, 4) == 2 + 11 && BeamReportBits(1, 4) == 7, "bits of fewer beams than may be reported");
}

/// L1-RSRP of all pairs, dBm, from H and the formulas of beams: [gNB row turns, column turns, UE column turns].
class AllPairs {
  public:
    AllPairs(CellTestbed& bed, std::uint32_t ue, double gnbDbm) {
        const auto h = Measure(Link(bed.channel, bed.gnb, bed.ues[ue]), Offsets());
        const std::size_t elements = 32, antennas = bed.ues[ue].array->GetNumElems();
        m_h = h;
        m_antennas = antennas;
        m_elements = elements;
        m_sentW = std::pow(10, gnbDbm / 10 - 3) / (12 * bed.cell->NumPrbs());
    }
    double Dbm(AnalogCodebook::Frequencies gnb, double ueColumn) const {
        double strongest = 0;
        const std::size_t columns = m_antennas / 2;
        for (std::size_t q = 0; q < 2; ++q) { // polarisations of the UE
            double power = 0;
            for (std::size_t p = 0; p < 2; ++p) {
                for (std::size_t f = 0; f < 4; ++f) {
                    Complex sum = 0;
                    for (std::size_t u = 0; u < columns; ++u) {
                        for (std::size_t e = 0; e < 16; ++e) {
                            const double turns =
                                gnb.row * double(e / 4) + gnb.column * double(e % 4) + ueColumn * double(u);
                            sum += Complex(m_h[((q * columns + u) * m_elements + p * 16 + e) * 4 + f]) *
                                   std::polar(1 / std::sqrt(16.0 * double(columns)), -2 * pi * turns);
                        }
                    }
                    power += std::norm(sum) / 4 / 2;
                }
            }
            strongest = std::max(strongest, power);
        }
        return 10 * std::log10(m_sentW * strongest) + 30;
    }

  private:
    static std::vector<double> Offsets() {
        std::vector<double> offsets;
        for (const double each : {-0.375, -0.125, 0.125, 0.375}) {
            offsets.push_back(each * 20 * 12 * 120e3);
        }
        return offsets;
    }
    Response m_h;
    std::size_t m_antennas, m_elements;
    double m_sentW;
};

double Middle(unsigned i, unsigned n) {
    return (i + 0.5) / n - 0.5;
}

/// The first sweep finds the beam that geometry says, with the L1-RSRP that H says: at this power, noise is nothing.
void BestBeam(Case& test) {
    constexpr double gnb_dbm = 150;
    const Attributes attributes = Analog({Set("GnbPower", gnb_dbm), Ms("CsiRsPeriod", 0)});
    CellTestbed bed(street, attributes);
    // Directions in the middle of beams: cosines 2 f to the rows and columns of the array, which faces +x.
    std::vector<unsigned> expected;
    for (const unsigned column : {0u, 1u, 2u, 3u}) {
        const double y = 2 * Middle(column, 4), z = 2 * Middle(1, 4), x = std::sqrt(1 - y * y - z * z);
        const double length = 8.5 / -z; // down to 1.5 m
        bed.Add({length * x, length * y, 1.5});
        expected.push_back(4 + column);
    }
    auto& management = bed.cell->GetBeamManagement();
    for (std::uint32_t ue = 0; ue < 4; ++ue) {
        const auto serving = management.Serving(ue, 0);
        test.True(serving.gnb == expected[ue], "UE " + std::to_string(ue) + ": beam " + std::to_string(serving.gnb));
        const AllPairs pairs(bed, ue, gnb_dbm);
        double most = -1e9;
        for (unsigned b = 0; b < 16; ++b) {
            double best = -1e9;
            for (unsigned u = 0; u < 2; ++u) {
                best = std::max(best, pairs.Dbm({Middle(b / 4, 4), Middle(b % 4, 4)}, Middle(u, 2)));
            }
            test.Near(management.Rsrp(ue, 0)[b], best, 0.02, "RSRP");
            most = std::max(most, best);
        }
        test.Near(pairs.Dbm({Middle(serving.gnb / 4, 4), Middle(serving.gnb % 4, 4)}, Middle(serving.ue, 2)), most,
                  0.02, "the best pair");
    }
}

/// Noise of the resource elements of an SSB, and of CSI-RS: mean and spread by hand, without a signal and beside one.
void MeasuredNoise(Case& test) {
    for (const double gnbDbm : {-150.0, 15.0}) {
        CellTestbed bed(street, Analog({Set("GnbPower", gnbDbm)}));
        bed.ues.push_back(MakeEnd({40, 0, 1.5}, 1, 2)); // one polarisation: one port
        bed.cell->AddUe(bed.ues.back().mobility, bed.ues.back().array);
        const Carrier& carrier = bed.cell->GetCarrier();
        const auto random = ns3::CreateObject<ns3::UniformRandomVariable>();
        random->SetStream(7);
        RsrpMeter meter(carrier, bed.cell->GetBeamManagement().Codebook(), random);
        AnalogCodebook own(*bed.ues[0].array, 1, 2, 1);
        const auto elements = PortWeights::Elements(32);
        RsrpMeter::Listener listener{0, 0, Link(bed.channel, bed.gnb, bed.ues[0]), &own.Weights(0), &elements, 0};
        const double exact = WattOfDbm(meter.Exact(listener, 5)), noise = carrier.noiseDownW / 12;
        for (const auto [signal, count] :
             {std::pair{RsrpMeter::Signal::Ssb, 127.0}, {RsrpMeter::Signal::CsiRs, 60.0}}) {
            const double each = noise / (count / (4 * 2)); // of four frequencies and two ports of the gNB
            const unsigned times = 4000;
            double sum = 0, squares = 0, sinr = 0;
            for (listener.slot = 0; listener.slot < times; ++listener.slot) {
                const double dbm = meter.Measure(listener, std::vector{5U}, signal).front(), power = WattOfDbm(dbm);
                sum += power / times;
                squares += power * power / times;
                sinr += meter.Sinr(dbm) / times;
            }
            const double variance = (each * each + 2 * each * exact) / 8; // of a mean of eight powers |h + n|^2
            test.Near(sum / (exact + each), 1, 4 * std::sqrt(variance / times) / (exact + each), "mean");
            test.Near((squares - sum * sum) / variance, 1, 0.2, "variance");
            if (gnbDbm > 0 && signal == RsrpMeter::Signal::Ssb) {
                test.True(exact > 3 * each, "it is heard");
                test.Near(sinr / (exact / noise), 1, 0.02, "SINR that the UE knows of");
            }
        }
        listener.slot = 7;
        const auto both = meter.Measure(listener, std::vector{5U, 6U}, RsrpMeter::Signal::Ssb);
        test.True(meter.Measure(listener, std::vector{6U}, RsrpMeter::Signal::Ssb).front() == both[1],
                  "noise of one beam depends on nothing else");
        listener.slot = 8;
        test.True(meter.Measure(listener, std::vector{6U}, RsrpMeter::Signal::Ssb).front() != both[1], "another slot");
    }
}

/// Which beam serves a UE in a slot, from the trace.
class Served {
  public:
    explicit Served(CellTestbed& bed) : m_bed(bed) {
        bed.cell->TraceConnectWithoutContext("Beams", ns3::MakeCallback(&Served::Note, this));
    }
    std::uint32_t Beam(std::uint32_t ue, std::uint64_t slot) const {
        std::uint32_t beam = UINT32_MAX;
        for (const auto& each : records) {
            if (each.event == BeamRecord::changed && each.ue == ue && each.slot <= slot) {
                beam = each.beam;
            }
        }
        return beam;
    }
    std::vector<BeamRecord> records;

  private:
    void Note(const BeamRecord& record) { records.push_back(record); }
    CellTestbed& m_bed;
};

/// In a slot, all have the same beam; each UE has the same part of the slots; blocks are as large as SSBs and CSI-RS
/// leave symbols.
void OneBeamInASlot(Case& test) {
    for (const std::string scheduler : {"pf", "rr"}) {
        CellTestbed bed(street, Analog({Set("GnbPower", 30.0), Set("Scheduler", scheduler)}));
        for (const double y : {-30.0, -28.0, 0.0, 40.0}) {
            bed.Add({40, y, 1.5});
        }
        Served served(bed);
        std::map<std::uint64_t, unsigned> taken;
        struct Taken {
            BeamManagement& beams;
            std::map<std::uint64_t, unsigned>& slots;
            void Note(const TransportBlockRecord& block) { slots[block.slot] = beams.Taken(block.slot); }
        } note{bed.cell->GetBeamManagement(), taken};
        bed.cell->TraceConnectWithoutContext("TransportBlock", ns3::MakeCallback(&Taken::Note, &note));
        bed.Fill(false);
        bed.Fill(true);
        bed.Run(0.3);
        const Carrier& carrier = bed.cell->GetCarrier();
        std::map<std::pair<bool, std::uint64_t>, std::set<std::uint32_t>> beams;
        std::map<std::uint32_t, std::set<std::uint64_t>> slotsOf;
        unsigned shorter = 0;
        for (const auto& block : bed.blocks) {
            const std::uint32_t beam = served.Beam(block.ue, block.slot);
            beams[{block.uplink != 0, block.slot}].insert(beam);
            if (block.uplink == 0) {
                slotsOf[block.ue].insert(block.slot);
            }
            if (block.uplink != 0 || block.attempt > 1) {
                continue;
            }
            const unsigned symbols = carrier.PlanOf(block.slot).downSymbols - taken[block.slot];
            shorter += taken[block.slot] > 0;
            const unsigned bits = TransportBlockSize(carrier.DataElements(block.prbs, symbols),
                                                     McsAt(carrier.mcsTable, block.mcs), block.layers);
            test.True(block.bits == bits, "slot " + std::to_string(block.slot) + ": " + std::to_string(block.bits) +
                                              " bits, " + std::to_string(bits) + " by count");
        }
        test.True(shorter > 50, "blocks beside SSBs and CSI-RS: " + std::to_string(shorter));
        std::set<std::uint32_t> all;
        for (const auto& [at, in] : beams) {
            test.True(in.size() == 1, scheduler + ": several beams in slot " + std::to_string(at.second));
            all.insert(in.begin(), in.end());
        }
        test.True(all.size() >= 3, "beams: " + std::to_string(all.size()));
        std::size_t least = SIZE_MAX, most = 0;
        for (const auto& [ue, slots] : slotsOf) {
            least = std::min(least, slots.size());
            most = std::max(most, slots.size());
        }
        test.True(slotsOf.size() == 4 && least > 200 && most < 4 * least,
                  scheduler + ": " + std::to_string(least) + " to " + std::to_string(most) + " slots");
        // What refinement has cost: 4 narrow beams, then 2 beams of the UE, for each.
        std::uint64_t narrow = 0, own = 0;
        for (const auto& each : served.records) {
            narrow += each.event == BeamRecord::refine;
            own += each.event == BeamRecord::receive;
        }
        const std::uint64_t symbols = bed.cell->GetBeamManagement().CsiRsSymbolsSoFar();
        test.True(narrow >= 4 * 6 && symbols >= 4 * narrow + 2 * own && symbols <= 4 * (narrow + 4) + 2 * (own + 4),
                  "CSI-RS: " + std::to_string(symbols) + " symbols, " + std::to_string(narrow) + " times P2, " +
                      std::to_string(own) + " times P3");
    }
}

/// A UE that gets data over RLC UM has nothing to send, so each of its blocks is there for a report of beams.
void ReportsTakeRoom(Case& test) {
    for (const int periodMs : {0, 40}) {
        CellTestbed bed(street, Analog({Set("GnbPower", 30.0), Ms("CsiRsPeriod", periodMs)}));
        bed.Add({40, 0, 1.5}, {}, 2, {.acknowledged = false});
        Served served(bed);
        bed.Fill(false);
        bed.Run(0.4);
        std::set<std::uint64_t> sweeps, narrow;
        for (const auto& each : served.records) {
            if (each.event == BeamRecord::sweep) {
                sweeps.insert(each.slot);
            } else if (each.event == BeamRecord::refine) {
                narrow.insert(each.slot);
            }
        }
        std::size_t blocks = 0;
        for (const auto& block : bed.blocks) {
            blocks += block.uplink != 0 && block.attempt == 1;
            test.True(block.uplink == 0 || block.bits >= 8 * (4 + 2), "room for 27 bits and a buffer status report");
        }
        const std::size_t reports = sweeps.size() - 1 + narrow.size(); // with the first sweep, the cell begins
        test.True(narrow.empty() == (periodMs == 0) && reports >= 15, "reports: " + std::to_string(reports));
        test.True(blocks <= reports && blocks + 2 >= reports, // the last may be on their way
                  std::to_string(blocks) + " blocks, " + std::to_string(reports) + " reports");
    }
}

/// Refinement ends with a pair that is hardly worse than the best of all narrow ones, and better than the sweep's.
void Refinement(Case& test) {
    CellTestbed bed(street, Analog({Set("GnbPower", 30.0)}));
    const unsigned numUes = 8;
    for (unsigned i = 0; i < numUes; ++i) {
        bed.Add({30.0 + 5 * i, -35.0 + 10 * i, 1.5});
    }
    bed.Fill(false);
    bed.Run(0.15);
    auto& management = bed.cell->GetBeamManagement();
    auto& codebook = management.Codebook();
    test.True(codebook.NumSweep() == 16 && codebook.NumNarrow() == 4, "beams");
    double gain = 0, loss = 0;
    for (std::uint32_t ue = 0; ue < numUes; ++ue) {
        const AllPairs pairs(bed, ue, 30);
        const auto serving = management.Serving(ue, 1200);
        test.True(codebook.IsNarrow(serving.gnb), "a narrow beam");
        const double own = pairs.Dbm(codebook.At(serving.gnb), Middle(serving.ue, 2));
        double best = -1e9, swept = -1e9;
        for (std::uint32_t b = 0; b < codebook.NumBeams(); ++b) {
            for (unsigned u = 0; u < 2; ++u) {
                const double dbm = pairs.Dbm(codebook.At(b), Middle(u, 2));
                best = std::max(best, dbm);
                swept = codebook.IsNarrow(b) ? swept : std::max(swept, dbm);
            }
        }
        gain += (own - swept) / numUes;
        loss += (best - own) / numUes;
        test.True(own > best - 3, "UE " + std::to_string(ue) + ": " + std::to_string(best - own) + " dB lost");
    }
    test.True(gain > 0.3 && loss < 1,
              "refinement gains " + std::to_string(gain) + " dB and loses " + std::to_string(loss) + " dB");
}

/// A switch takes the MAC CE, its HARQ feedback and 3 ms for a state that is not active, and grants that were given.
void SwitchByHand(Case& test) {
    CellTestbed bed(
        street, Analog({Set("GnbPower", 30.0), Ms("CsiRsPeriod", 0), Ms("SsbPeriod", 160), Set("ReportedBeams", 1u)}));
    bed.Add({40, 0, 1.5});
    auto& management = bed.cell->GetBeamManagement();
    const std::uint32_t first = management.Serving(0, 100).gnb, other = first == 0 ? 15 : 0;
    // Slot 100 is D: the MAC CE goes in 101, its feedback two slots later in the special slot 103, 3 ms are 24 slots,
    // and 14 symbols are one more.
    test.True(management.Give(0, other, 100) == 103 + 24 + 1 + 1, "not active");
    test.True(management.BeamAt(0, 128) == first && management.BeamAt(0, 129) == other, "before and after");
    management.Advance(128);
    test.True(management.Serving(0, 128).gnb == first, "not yet");
    management.Advance(129);
    test.True(management.Serving(0, 129).gnb == other, "now");
    // An active one: DCI in the next slot and 14 symbols, but no grant may be in between.
    const std::uint64_t granted = bed.cell->GetCarrier().longestGrant;
    test.True(management.Give(0, first, 200) == 200 + std::max<std::uint64_t>(2, granted + 1), "active");
    test.Refuses([&] { management.Give(0, 5000, 200); }, {"5000", "0 to 15"}, "no such beam");
    bed.Fill(false);
    bed.Run(0.1);
    test.True(management.Serving(0, 800).gnb == first && bed.down.bytes[0] > 0, "what is given stays");
}

/// A UE that goes along an arc around the gNB keeps a good pair; with sweeps alone, too, but not as good.
void Moving(Case& test) {
    for (const bool refines : {true, false}) {
        CellTestbed bed(street, Analog({Set("GnbPower", 30.0), Ms("CsiRsPeriod", refines ? 20 : 0)}));
        bed.Add({25, -30, 1.5}, {0, 30, 0}); // 30 m/s past the gNB
        Served served(bed);
        bed.Fill(false);
        double loss = 0;
        unsigned times = 0;
        std::set<std::uint32_t> beams;
        const std::function<void()> look = [&] {
            auto& management = bed.cell->GetBeamManagement();
            auto& codebook = management.Codebook();
            const auto serving = management.Serving(0, bed.cell->NextSlot());
            beams.insert(codebook.SweepOf(serving.gnb));
            const AllPairs pairs(bed, 0, 30);
            double best = -1e9;
            for (std::uint32_t b = 0; b < codebook.NumBeams(); ++b) {
                for (unsigned u = 0; u < 2; ++u) {
                    best = std::max(best, pairs.Dbm(codebook.At(b), Middle(u, 2)));
                }
            }
            loss += best - pairs.Dbm(codebook.At(serving.gnb), Middle(serving.ue, 2));
            ++times;
        };
        for (int i = 1; i < 20; ++i) {
            ns3::Simulator::Schedule(ns3::MilliSeconds(100 * i), look);
        }
        bed.Run(2);
        test.True(beams.size() >= 3, "beams on the way: " + std::to_string(beams.size()));
        test.True(loss / times < (refines ? 3 : 6), "mean loss " + std::to_string(loss / times) + " dB");
        test.True(bed.down.bytes[0] > 30'000'000, std::to_string(bed.down.bytes[0]) + " bytes");
    }
}

/// A UE of directive panels hears the gNB with that which faces it, also once it has turned round.
void UePanelsTurn(Case& test) {
    CellTestbed bed(street, Analog({Set("GnbPower", 30.0), Set("UePanels", 3u)}));
    bed.ues.push_back(MakeEnd({40, 0, 1.5}, 1, 2, true, false));
    const auto& array = bed.ues.back().array;
    array->SetAlpha(pi); // towards the gNB
    bed.cell->AddUe(bed.ues.back().mobility, array);
    auto& management = bed.cell->GetBeamManagement();
    test.True(management.NumUeBeams(0) == 6, "beams of the UE");
    test.True(management.Serving(0, 0).ue / 2 == 0, "the first panel faces the gNB");
    bed.Fill(false);
    ns3::Simulator::Schedule(ns3::MilliSeconds(100), [&] { array->SetAlpha(pi - 2 * pi / 3); });
    bed.Run(0.4);
    test.True(management.Serving(0, 3200).ue / 2 == 1,
              "then the second does: " + std::to_string(management.Serving(0, 3200).ue));
}

/// TS 38.321 5.17: three bad ones without four good ones in a row between them.
void FailureCounter(Case& test) {
    const auto run = [](const std::string& measured) {
        BeamFailureCounter counter(3, 4);
        std::string failed;
        for (const char each : measured) {
            failed += counter.Measure(each == 'x') ? '!' : '.';
        }
        return failed;
    };
    test.True(run("xx...x") == ".....!", "three bad ones");
    test.True(run("xx....xx.x") == ".........!", "after four good ones it begins again");
    test.True(run("xxxx") == "..!.", "it fails once");
}

/// Milliseconds of events of one kind after a time.
std::vector<double> TimesMs(const Served& served, BeamRecord::Event event, double fromMs = 0) {
    std::vector<double> times;
    for (const auto& each : served.records) {
        if (each.event == event && 1e-6 * double(each.time_ns) >= fromMs) {
            times.push_back(1e-6 * double(each.time_ns));
        }
    }
    return times;
}

double BytesBetween(const CellTestbed& bed, double fromMs, double toMs) {
    double bytes = 0;
    for (std::size_t i = 0; i < bed.down.timesNs.at(0).size(); ++i) {
        const double ms = 1e-6 * double(bed.down.timesNs.at(0)[i]);
        bytes += ms >= fromMs && ms < toMs ? bed.down.sizes.at(0)[i] : 0;
    }
    return bytes;
}

/// A cell with one UE at 40 m, which has this SNR of its best SSB, dB; with three directive panels or isotropic.
struct OneUe {
    OneUe(double snrDb, bool panels) : bed(street, Analog(With(GnbDbm(snrDb, panels), panels))), served(bed) {
        Add(bed, panels);
        bed.Fill(false);
    }
    static Attributes With(double gnbDbm, bool panels) {
        return {Set("GnbPower", gnbDbm), Set("UePanels", panels ? 3u : 0u), Set("BeamCandidateRsrp", -118.0)};
    }
    static void Add(CellTestbed& bed, bool panels) {
        bed.ues.push_back(MakeEnd({40, 0, 1.5}, 1, 2, true, !panels));
        bed.ues.back().array->SetAlpha(pi); // towards the gNB
        bed.cell->AddUe(bed.ues.back().mobility, bed.ues.back().array);
    }
    static double GnbDbm(double snrDb, bool panels) {
        CellTestbed bed(street, Analog(With(0, panels)));
        Add(bed, panels);
        const auto dbm = bed.cell->GetBeamManagement().Rsrp(0, 0);
        return snrDb + 30 + DbOf(bed.cell->GetCarrier().noiseDownW / 12) - *std::ranges::max_element(dbm);
    }
    CellTestbed bed;
    Served served;
};

/// A UE that suddenly turns its panels round hears the gNB no more: it fails within the timers, gets access over the
/// panel that faces the gNB now, and has data again.
void TurnedAway(Case& test) {
    OneUe one(5, true);
    auto& [bed, served] = one;
    const auto& array = bed.ues.back().array;
    ns3::Simulator::Schedule(ns3::MilliSeconds(100), [&] { array->SetAlpha(pi - 2 * pi / 3); });
    bed.Run(0.8);
    const auto bad = TimesMs(served, BeamRecord::bad), failed = TimesMs(served, BeamRecord::failed),
               found = TimesMs(served, BeamRecord::found);
    test.True(bad.size() >= 3 && bad.front() > 100 && bad.front() < 125, "the first bad measurement");
    test.True(!failed.empty() && failed.front() > 140 && failed.front() < 165, "three periods of 20 ms");
    // All beams are swept in 120 ms; then an occasion within 10 ms, a response window of 10 ms, and again if it fails.
    test.True(!found.empty() && found.front() > failed.front() && found.front() < failed.front() + 200, "found");
    const auto serving = bed.cell->GetBeamManagement().Serving(0, 6400);
    test.True(serving.ue / 2 == 1, "the second panel: " + std::to_string(serving.ue));
    const double before = BytesBetween(bed, 50, 100), gap = BytesBetween(bed, 110, failed.front()),
                 after = BytesBetween(bed, 700, 750);
    test.True(before > 0 && gap < 0.3 * before && after > 0.5 * before,
              "bytes: " + std::to_string(before) + ", " + std::to_string(gap) + ", " + std::to_string(after));
}

/// A wall goes up in front of a UE and away again: failure, then recovery, over another beam or the same.
void Blocked(Case& test) {
    OneUe one(3, false);
    auto& [bed, served] = one;
    const BlockingScreen wall{{39, 0, 1.5}, 4, 6};
    ns3::Simulator::Schedule(ns3::MilliSeconds(100), [&] { bed.channel->SetScreens({wall}); });
    ns3::Simulator::Schedule(ns3::MilliSeconds(400), [&] { bed.channel->SetScreens({}); });
    bed.Run(0.8);
    const auto failed = TimesMs(served, BeamRecord::failed), found = TimesMs(served, BeamRecord::found);
    test.True(!failed.empty() && failed.front() > 140 && failed.front() < 185, "failure within the timers");
    test.True(!found.empty() && found.back() < 500, "recovery");
    const double before = BytesBetween(bed, 50, 100), after = BytesBetween(bed, 700, 750);
    test.True(before > 0 && after > 0.7 * before, "bytes: " + std::to_string(before) + ", " + std::to_string(after));
}

/// What does not go together is refused with what is legal.
void Refusals(Case& test) {
    const auto make = [](Attributes more) { CellTestbed bed(street, Analog(std::move(more))); };
    test.Refuses([&] { make({Set("SsbRows", 5u)}); }, {"5 x 4", "4 x 4"}, "rows");
    test.Refuses([&] { make({Set("UplinkSelection", "greedy")}); }, {"greedy", "legal is none"}, "uplink");
    test.Refuses([&] { make({Set("Selection", "greedy")}); }, {"greedy", "analog"}, "selection");
    test.Refuses([&] { make({Ms("SsbPeriod", 30)}); }, {"SsbPeriod", "30", "5, 10, 20"}, "period");
    test.Refuses([&] { make({Set("TimeDurationForQcl", 10u)}); }, {"10", "7, 14 and 28"}, "QCL");
    test.Refuses([&] { make({Set("BeamFailureInstanceMaxCount", 7u)}); }, {"MaxCount 7", "6, 8 and 10"}, "instances");
    test.Refuses([&] { make({Ms("BeamFailureRecoveryTimer", 30)}); }, {"RecoveryTimer", "20, 40"}, "recovery");
    test.Refuses([&] { make({Set("ReportedBeams", 3u)}); }, {"3", "1, 2 and 4"}, "report");
    CellTestbed other(street, {Set("Numerology", 3u)});
    test.Refuses([&] { other.cell->GetBeamManagement(); }, {"eigen", "analog"}, "no analog beams");
    CellTestbed bed(street, Analog());
    bed.Add({40, 0, 1.5});
    test.Refuses([&] { bed.cell->AddMulticast({0}); }, {"multicast", "analog"}, "multicast");
}

CaseSuite analogBeamsTestSuite("edgelam-nr-analog-beams", {{"the codebook: orthonormal, gains, scalloping", Codebook},
                                                           {"panels share a beam", Panels},
                                                           {"SSBs by hand", BlocksByHand},
                                                           {"L1-RSRP by hand", ReportByHand},
                                                           {"the best beam by geometry and by H", BestBeam},
                                                           {"noise of L1-RSRP by hand", MeasuredNoise},
                                                           {"reports take room in uplink", ReportsTakeRoom},
                                                           {"one beam in a slot, and what sweeps cost", OneBeamInASlot},
                                                           {"refinement against all pairs", Refinement},
                                                           {"when a switch holds, by hand", SwitchByHand},
                                                           {"a UE on its way", Moving},
                                                           {"panels of a UE that turns", UePanelsTurn},
                                                           {"instances of beam failure", FailureCounter},
                                                           {"failure and recovery of a UE that turns", TurnedAway},
                                                           {"failure and recovery behind a wall", Blocked},
                                                           {"refusals", Refusals}});

} // namespace
