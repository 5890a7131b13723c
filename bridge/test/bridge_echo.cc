// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// A host without ns-3 and without a clock, for the tests of the bridge and its benchmark:
///
///     bridge-echo [--edgelam-address=@NAME] [--edgelam-participants=N] [--edgelam-ring-bytes=B]
///                 [--edgelam-arena-bytes=B] [--attach-timeout=S] [--exit-at-start=STATUS]
///
/// It answers each Wait with Resume{deadline_ns}, hands each Post on as Posted to participant `to`, ends with status 0
/// after the last Detach, and with 3 when a participant dies. A Post to `to` = 2^32 - 1 is a command to the host, given
/// as text in the tail and answered, if at all, with Posted from 2^32 - 1:
///
///     sleep MS             neither read nor answer for that long
///     abort | exit STATUS  end at once
///     fill COUNT BYTES     send that many frames with tails of that size (byte i of frame k is (i + k) mod 256)
///     publish BYTES        answer with an array of the host's arena (byte i is i mod 251)
///     keep | drop          count the host as a holder of the Post's array, or not any more
///     sum                  answer with the sum of the bytes of the Post's array, as text
///     used                 answer with the bytes in use in the host's arena, as text
///     sample               the command is followed by a zero byte and a Sample; answer with it changed, see below
///     end                  return from main without waiting for anybody
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <numeric>
#include <sstream>
#include <thread>

#include "edgelam/bridge/host.h"
#include "edgelam/bridge/socket.h"

using namespace edgelam::bridge;

namespace echo {

enum class Colour : std::int16_t { red = -1, green = 1 };

struct Inner {
    std::uint8_t small;
    double wide;
};
EDGELAM_MESSAGE(Inner, small, wide)

/// Something of everything that a struct of a scenario may hold, with padding.
struct Sample {
    bool flag;
    std::int8_t i8;
    std::int32_t i32;
    std::uint16_t u16;
    std::int64_t i64;
    std::uint64_t u64;
    float f32;
    double f64;
    Colour colour;
    std::complex<float> c64;
    std::complex<double> c128;
    char name[7];
    std::array<std::array<std::int16_t, 2>, 3> matrix;
    float vector[5];
    Inner inner;
    std::array<Inner, 2> inners;
};
EDGELAM_MESSAGE(Sample, flag, i8, i32, u16, i64, u64, f32, f64, colour, c64, c128, name, matrix, vector, inner, inners)

/// Changes every field by its name, so that a field read from the wrong place shows.
Sample Changed(const Sample& in) {
    Sample out{};
    out.flag = !in.flag;
    out.i8 = static_cast<std::int8_t>(in.i8 ^ 1);
    out.i32 = in.i32 ^ 2;
    out.u16 = in.u16 ^ 3;
    out.i64 = in.i64 ^ 4;
    out.u64 = in.u64 ^ 5;
    out.f32 = -in.f32;
    out.f64 = -in.f64;
    out.colour = in.colour == Colour::red ? Colour::green : Colour::red;
    out.c64 = -in.c64;
    out.c128 = -in.c128;
    for (int i = 0; i < 7; ++i) {
        out.name[i] = in.name[6 - i];
    }
    for (int i = 0; i < 3; ++i) {
        for (int j = 0; j < 2; ++j) {
            out.matrix[i][j] = in.matrix[2 - i][1 - j];
        }
    }
    for (int i = 0; i < 5; ++i) {
        out.vector[i] = in.vector[4 - i];
    }
    out.inner = {static_cast<std::uint8_t>(in.inner.small ^ 1), -in.inner.wide};
    out.inners = {in.inners[1], in.inners[0]};
    return out;
}

constexpr std::uint32_t to_host = ~std::uint32_t{0};

class Echo {
  public:
    explicit Echo(Host& host) : m_host(host) {}

    /// Until everybody has detached, or "end".
    void Run() {
        while (!m_end && m_left < m_host.participants()) {
            m_host.WaitForFrames();
            for (int p = 0; p < m_host.participants(); ++p) {
                for (Frame frame; !m_end && m_host.Receive(p, frame);) {
                    Answer(p, frame);
                }
            }
        }
    }

  private:
    void Answer(int p, const Frame& frame) {
        if (frame.Is<Wait>()) {
            m_host.Send(p, Resume{frame.As<Wait>().deadline_ns});
        } else if (frame.Is<Detach>()) {
            m_host.MarkDetached(p);
            ++m_left;
        } else if (frame.Is<Post>() && frame.As<Post>().to == to_host) {
            Command(p, frame);
        } else if (frame.Is<Post>()) {
            const Post& post = frame.As<Post>();
            if (post.payload.size_bytes > 0) {
                m_host.Hold(post.payload, static_cast<int>(post.to) + 1, 1);
            }
            m_host.Send(static_cast<int>(post.to), Posted{static_cast<std::uint32_t>(p), 0, post.payload}, frame.tail);
        }
    }

    void Reply(int p, const std::string& text, ArrayRef payload = {}) {
        m_host.Send(p, Posted{to_host, 0, payload}, text);
    }

    void Command(int p, const Frame& frame) {
        const ArrayRef payload = frame.As<Post>().payload;
        const std::string text(frame.TailText().substr(0, frame.TailText().find('\0')));
        std::istringstream words(text);
        std::string word;
        std::uint64_t a = 0, b = 0;
        words >> word >> a >> b;
        if (word == "sleep") {
            std::this_thread::sleep_for(std::chrono::milliseconds(a));
        } else if (word == "abort") {
            std::cerr << "bridge-echo aborts as told\n";
            std::abort();
        } else if (word == "exit") {
            std::cerr << "bridge-echo exits as told\n";
            std::_Exit(static_cast<int>(a));
        } else if (word == "fill") {
            std::vector<std::byte> tail(b);
            for (std::uint64_t k = 0; k < a; ++k) {
                for (std::uint64_t i = 0; i < b; ++i) {
                    tail[i] = static_cast<std::byte>(i + k);
                }
                m_host.Send(p, Posted{to_host, 0, {}}, tail);
            }
        } else if (word == "publish") {
            ArrayRef ref{};
            const auto bytes = m_host.arena().Allocate(a, ref);
            for (std::size_t i = 0; i < bytes.size(); ++i) {
                bytes[i] = static_cast<std::byte>(i % 251);
            }
            m_host.Hold(ref, p + 1, 1);
            Reply(p, "published", ref);
            m_host.arena().Release(ref);
        } else if (word == "keep" || word == "drop") {
            m_host.Hold(payload, 0, word == "keep" ? 1 : -1);
            Reply(p, word);
        } else if (word == "sum") {
            std::uint64_t sum = 0;
            for (const std::byte byte : m_host.View(payload)) {
                sum += std::to_integer<unsigned>(byte);
            }
            Reply(p, std::to_string(sum));
        } else if (word == "used") {
            Reply(p, std::to_string(m_host.arena().UsedBytes()));
        } else if (word == "sample") {
            Sample sample{};
            const auto bytes = frame.tail.subspan(text.size() + 1);
            std::memcpy(&sample, bytes.data(), std::min(bytes.size(), sizeof(sample)));
            sample = Changed(sample);
            m_host.Send(p, Posted{to_host, 0, {}}, std::as_bytes(std::span(&sample, 1)));
        } else if (word == "end") {
            m_end = true;
        } else {
            throw BridgeError("bridge-echo does not know the command '" + text + "'");
        }
    }

    Host& m_host;
    int m_left = 0;
    bool m_end = false;
};

std::uint64_t Number(const std::string& option, const std::string& value) {
    std::size_t used = 0;
    std::uint64_t number = 0;
    try {
        number = std::stoull(value, &used);
    } catch (const std::logic_error&) {
        used = 0;
    }
    if (used == 0 || used != value.size()) {
        throw BridgeError(option + ": '" + value + "' is no whole number");
    }
    return number;
}

HostOptions ReadOptions(int argc, char** argv) {
    HostOptions options;
    options.address = TakeAddressFromEnvironment();
    for (int i = 1; i < argc; ++i) {
        const std::string argument = argv[i];
        const auto equals = argument.find('=');
        const std::string option = argument.substr(0, equals);
        const std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
        if (option == "--edgelam-address") {
            options.address = value;
        } else if (option == "--edgelam-participants") {
            options.participants = static_cast<int>(Number(option, value));
        } else if (option == "--edgelam-ring-bytes") {
            options.ring_bytes = Number(option, value);
        } else if (option == "--edgelam-arena-bytes") {
            options.arena_bytes = Number(option, value);
        } else if (option == "--attach-timeout") {
            options.attach_timeout_s = static_cast<double>(Number(option, value));
        } else if (option == "--exit-at-start") {
            std::cerr << "bridge-echo exits at its start\n";
            std::exit(static_cast<int>(Number(option, value)));
        } else {
            throw BridgeError("unknown option '" + argument + "'");
        }
    }
    return options;
}

} // namespace echo

int main(int argc, char** argv) {
    try {
        Host host(echo::ReadOptions(argc, argv));
        host.AwaitParticipants("{\"scenario\": \"bridge-echo\", \"participants\": " +
                               std::to_string(host.participants()) + ", \"schema\": [" + DescribeJson<echo::Sample>() +
                               "], \"nodes\": [], \"observables\": [], \"controls\": []}");
        echo::Echo(host).Run();
        return 0;
    } catch (const PeerDied& error) {
        std::cerr << "bridge-echo: " << error.what() << "\n";
        return 3;
    } catch (const std::exception& error) {
        std::cerr << "bridge-echo: " << error.what() << "\n";
        return 2;
    }
}
