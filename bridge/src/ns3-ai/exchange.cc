// SPDX-License-Identifier: GPL-2.0-only
#include "edgelam/bridge/ns3-ai/exchange.h"

#include <optional>
#include <utility>

#include "edgelam/bridge/doorbell.h"
#include "edgelam/bridge/errors.h"
#include "exchange_memory.h"
#include "exchange_partner.h"
#include "exchange_texts.h"
#include "python_process.h"

namespace edgelam::bridge {

/// The two sides taking turns.
class Exchange::Impl {
  public:
    explicit Impl(ExchangeOptions options)
        : m_options(std::move(options)), m_partner(m_options, [this] { m_turns[0] = m_turns[1] = {}; }) {
        try {
            CheckSizes(m_options);
            m_options.creator ? m_partner.Make() : m_partner.Open();
        } catch (const BridgeError& error) {
            FailExchange(error.what());
        }
        m_waiter.emplace(header().doorbells[m_partner.role()]);
    }

    ~Impl() {
        m_partner.Forget();
        if (!memory() || ForkGeneration() != m_generation || FailingExchange()) {
            return;
        }
        if (!InPython() && m_options.handle_finish) {
            header().finished[static_cast<int>(Side::cpp)] = 1;
        }
        header().left[m_partner.role()] = 1;
        m_partner.RingPeer();
        if (InPython()) {
            KeepMapped(m_partner.memory().Release());
        }
    }

    void Begin(Direction direction, Side sender) {
        Turn& turn = Enter(direction, sender);
        if (direction == Direction::send) {
            Wait(direction, sender, [&] { return slot(sender).full == 0 || Told(Other(sender)); });
            turn.sending = true;
            return;
        }
        if (turn.finish_told && slot(sender).full == 0 && Told(sender)) {
            const std::string begin = Call(Other(sender), BeginOf(direction));
            FailExchange(std::string(NameOf(sender)) + " has finished: " + begin + " has nothing more to give. Ask " +
                         Call(Other(sender), "GetFinished") + " after each " + begin + " and stop when it is true");
        }
        Wait(direction, sender, [&] { return slot(sender).full == 1 || Told(sender); });
        turn.receiving = slot(sender).full == 1;
        turn.finish_told = !turn.receiving;
    }

    void End(Direction direction, Side sender) {
        Turn& turn = m_turns[static_cast<int>(sender)];
        if (direction == Direction::receive && turn.finish_told) {
            return; // there was no message
        }
        if (Leave(direction, sender, turn)) {
            slot(sender).full = direction == Direction::send ? 1 : 0;
            m_partner.RingPeer();
        }
    }

    void SetFinished(Side side) {
        header().finished[static_cast<int>(side)] = 1;
        m_partner.RingPeer();
    }

    bool AskFinished(Side side) {
        m_partner.Look();
        return Finished(side) && slot(side).full == 0; // its last message is to be read first
    }

    const ExchangeOptions& options() const { return m_options; }
    const ExchangeMemory& memory() const { return m_partner.memory(); }

  private:
    /// Where this process is between Begin and End of one direction.
    struct Turn {
        bool sending = false, receiving = false, finish_told = false;
        bool& In(Direction direction) { return direction == Direction::send ? sending : receiving; }
    };

    ExchangeHeader& header() const { return memory().header(); }
    ExchangeHeader::Slot& slot(Side sender) const { return header().slots[static_cast<int>(sender)]; }
    bool Finished(Side side) const { return header().finished[static_cast<int>(side)] != 0; }
    /// The finish of the other side is an ordinary event here, not an error.
    bool Told(Side side) const { return m_options.handle_finish && Finished(side); }

    /// Every Begin passes here.
    Turn& Enter(Direction direction, Side sender) {
        m_partner.Look();
        m_interrupted = false;
        Turn& turn = m_turns[static_cast<int>(sender)];
        if (turn.In(direction)) {
            const Side caller = CallerOf(direction, sender);
            FailExchange(Call(caller, BeginOf(direction)) + " twice without " + Call(caller, EndOf(direction)) +
                         " in between");
        }
        return turn;
    }

    /// True when there was a Begin; after an interrupted one, or the other side's finish, there is nothing to do.
    bool Leave(Direction direction, Side sender, Turn& turn) {
        const Side caller = CallerOf(direction, sender);
        if (!turn.In(direction) && !m_interrupted && !Told(Other(caller))) {
            FailExchange(Call(caller, EndOf(direction)) + " without " + Call(caller, BeginOf(direction)) +
                         " before it");
        }
        return std::exchange(turn.In(direction), false);
    }

    template<class Ready>
    void Wait(Direction direction, Side sender, Ready&& ready) {
        if (ready()) {
            return;
        }
        const Side caller = CallerOf(direction, sender);
        std::string failure; // is raised with the interpreter's lock held again
        {
            auto& waits = header().waits[m_partner.role()];
            const std::uint32_t told = PythonThreads() > 1 ? 0 : 1; // another thread may go on
            waits.fetch_add(told);
            PythonUnlocked unlocked;
            BothWait both;
            const auto began = WallClock::now();
            struct Interrupted {};
            try {
                m_waiter->WaitUntil(ready, {}, [&] {
                    if (!unlocked.RunSignalHandlers()) {
                        throw Interrupted();
                    }
                    Partner::LookAtAll();
                    if (!ready() && !m_partner.Gone(caller)) {
                        if (told != 0) {
                            both.Check(m_partner, Call(caller, BeginOf(direction)));
                        }
                        m_partner.NobodyYet(began);
                    }
                });
            } catch (const Interrupted&) {
                m_interrupted = true;
            } catch (const BridgeError& error) {
                failure = error.what();
            }
            waits.fetch_add(told);
        }
        if (!failure.empty()) {
            FailExchange(failure);
        }
    }

    ExchangeOptions m_options;
    std::uint32_t m_generation = ForkGeneration();
    Turn m_turns[2];
    bool m_interrupted = false;
    Partner m_partner;
    std::optional<Waiter> m_waiter;
};

Exchange::Exchange(ExchangeOptions options) : m_impl(std::make_unique<Impl>(std::move(options))) {}
Exchange::~Exchange() = default;

bool Exchange::creator() const {
    return m_impl->options().creator;
}
std::byte* Exchange::message(Side sender) const {
    return m_impl->memory().message(sender);
}
std::size_t Exchange::memory_bytes() const {
    return m_impl->memory().message_bytes();
}
void Exchange::SendBegin(Side sender) {
    m_impl->Begin(Direction::send, sender);
}
void Exchange::SendEnd(Side sender) {
    m_impl->End(Direction::send, sender);
}
void Exchange::RecvBegin(Side sender) {
    m_impl->Begin(Direction::receive, sender);
}
void Exchange::RecvEnd(Side sender) {
    m_impl->End(Direction::receive, sender);
}
void Exchange::SetFinished(Side side) {
    m_impl->SetFinished(side);
}
bool Exchange::Finished(Side side) {
    return m_impl->AskFinished(side);
}

} // namespace edgelam::bridge
