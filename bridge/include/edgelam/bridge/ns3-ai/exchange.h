// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// One message at a time each way between a C++ and a Python process that take turns, in the style of ns3-ai: who sends
/// waits until the last message was read, who receives waits until there is one. The memory and the waiting are the
/// bridge's: no name in the file system, no endless spinning, and the end of the other side is noticed.
///
/// One process makes the memory (the creator), the other opens it (the opener). They meet at a Unix socket whose
/// address holds the segment's name (exchange_link.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace edgelam::bridge {

enum class Side { cpp = 0, python = 1 };

/// A message of one direction, as both sides must have it.
struct MessageLayout {
    std::string type; ///< for texts only
    std::size_t size_bytes = 0;
    std::size_t alignment = 0;
};

struct ExchangeOptions {
    std::string segment;
    bool creator = false;
    bool vector = false;        ///< a message is a vector of its type, not one
    bool handle_finish = false; ///< the C++ side's end is told to Python (Finished), else it is an error there
    std::size_t memory_bytes = 4096;
    MessageLayout from_cpp, from_python;
};

/// Any number of them in a process. Every error ends a C++ program with its text and exit status 1; in a Python process
/// it is thrown as a BridgeError.
class Exchange {
  public:
    /// The creator returns at once; its first wait is at most a minute for an opener, or as long as a process lives
    /// that was announced. The opener waits for a creator, at most a minute, and then for its answer as long as the
    /// creator lives. Every wait of a process serves all its exchanges.
    explicit Exchange(ExchangeOptions options);
    ~Exchange();
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;

    bool creator() const;
    /// Where the messages that this side sends lie: `memory_bytes` of them behind `message_room_bytes` of room.
    std::byte* message(Side sender) const;
    static constexpr std::size_t message_room_bytes = 64;
    /// The creator's, whatever this side asked for.
    std::size_t memory_bytes() const;

    /// Waits until the last message of `sender` has been read.
    void SendBegin(Side sender);
    void SendEnd(Side sender);
    /// Waits until there is a message of `sender`. Returns without one when the sender has finished.
    void RecvBegin(Side sender);
    void RecvEnd(Side sender);

    void SetFinished(Side side);
    bool Finished(Side side);

  private:
    class Impl;
    std::unique_ptr<Impl> m_impl;
};

/// Tells the creators of segments in this very process, but for those of \p not_to, that a child of this process that
/// will open them was started: should it end before it does, their waits end. \p pid 0: somebody starts it by hand, and
/// may take any time for that.
void AnnounceProcess(int pid, const std::vector<std::string>& not_to);

/// Ends what cannot go on: throws BridgeError in a Python process; elsewhere prints the text and exits with status 1.
[[noreturn]] void FailExchange(const std::string& text);

/// A type's name as it is written in C++.
std::string TypeName(const char* mangled);

} // namespace edgelam::bridge
