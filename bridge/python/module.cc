// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The Python module edgelam._bridge: the participant side. For edgelam.cosim, edgelam.bench and edgelam.ns3ai.
#include <cstring>
#include <exception>
#include <optional>
#include <string>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "edgelam/bridge/ns3-ai/exchange.h"
#include "edgelam/bridge/participant.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace edgelam::bridge {
namespace {

/// Lets Python's signal handlers run (Ctrl-C) while we wait without the GIL.
void CheckSignals() {
    const nb::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) {
        throw nb::python_error();
    }
}

/// The bytes of anything with a contiguous buffer, held while in use.
class BufferBytes {
  public:
    explicit BufferBytes(nb::handle object) {
        if (PyObject_GetBuffer(object.ptr(), &m_buffer, PyBUF_SIMPLE) != 0) {
            throw nb::python_error();
        }
    }
    ~BufferBytes() { PyBuffer_Release(&m_buffer); }
    BufferBytes(const BufferBytes&) = delete;
    BufferBytes& operator=(const BufferBytes&) = delete;

    std::span<const std::byte> bytes() const {
        return {static_cast<const std::byte*>(m_buffer.buf), static_cast<std::size_t>(m_buffer.len)};
    }

  private:
    Py_buffer m_buffer{};
};

nb::bytes ToBytes(std::span<const std::byte> bytes) {
    return nb::bytes(bytes.data(), bytes.size());
}

/// Raises `type`, the Python exception for PeerDied, with what C++ knows: `participant`, whose fault it is (-1: the
/// host's), and `violation`, whether it has sent what the protocol does not allow rather than died.
void RaisePeerDied(const std::exception_ptr& thrown, void* type) {
    try {
        std::rethrow_exception(thrown);
    } catch (const PeerDied& error) {
        nb::object raised = nb::handle(static_cast<PyObject*>(type))(error.what());
        raised.attr("participant") = error.participant;
        raised.attr("violation") = error.cause == AbortCause::violation;
        PyErr_SetObject(static_cast<PyObject*>(type), raised.ptr());
    }
}

/// Calls f without the GIL.
template<class F>
auto Unlocked(F&& f) {
    const nb::gil_scoped_release release;
    return f();
}

template<class T>
nb::object ToNumpy(std::unique_ptr<Participant::Array> array) {
    const std::size_t shape[1] = {static_cast<std::size_t>(array->ref.size_bytes)};
    T* data = reinterpret_cast<T*>(array->data);
    const nb::capsule owner(array.release(),
                            [](void* pointer) noexcept { delete static_cast<Participant::Array*>(pointer); });
    return nb::cast(nb::ndarray<nb::numpy, T, nb::ndim<1>>(data, 1, shape, owner));
}

ArrayRef ToRef(const nb::bytes& bytes) {
    ArrayRef ref{};
    if (bytes.size() != sizeof(ref)) {
        throw BridgeError("an ArrayRef has " + std::to_string(sizeof(ref)) + " bytes, not " +
                          std::to_string(bytes.size()));
    }
    std::memcpy(&ref, bytes.data(), sizeof(ref));
    return ref;
}

} // namespace
} // namespace edgelam::bridge

NB_MODULE(_bridge, m) {
    using namespace edgelam::bridge;
    m.doc() = "Shared-memory coupling to a scenario process: the participant side.";
    m.attr("SCHEMA") = ProtocolMessages::DescribeAllJson();
    m.attr("SCHEMA_LINES") = ProtocolMessages::DescribeAllLines();
    m.attr("PROTOCOL_VERSION") = protocol_version;

    const auto error = nb::exception<BridgeError>(m, "BridgeError");
    const auto peer_died = nb::exception<PeerDied>(m, "PeerDied", error);
    nb::register_exception_translator(RaisePeerDied, peer_died.ptr()); // before that of the line above
    nb::exception<AttachRefused>(m, "AttachRefused", error);
    nb::exception<BridgeTimeout>(m, "BridgeTimeout", error);
    nb::exception<ProtocolError>(m, "ProtocolError", error);

    m.def("announce_process", &AnnounceProcess, "pid"_a, "not_to"_a,
          "Tell the ns3-ai interfaces that this process has made, but for the segments `not_to`, that the child `pid` "
          "will "
          "open them: if it ends before that, they do not wait for it any longer.");

    nb::class_<Participant>(m, "Participant",
                            "One participant's end of the bridge. Any thread may use it; a forked child may not.")
        .def(
            "__init__",
            [](Participant* self, const std::string& address, int participant, const std::string& name,
               double timeout_s, int child_pid) {
                const ParticipantOptions options{address, participant, name, timeout_s, child_pid};
                Unlocked([&] { new (self) Participant(options, CheckSignals); });
            },
            "address"_a, "participant"_a = 0, nb::kw_only(), "name"_a = "", "timeout_s"_a = 60.0, "child_pid"_a = 0,
            "Attach to the scenario that listens (or soon will) at `address`. `child_pid`: the scenario's process, if "
            "this process started it. Raises AttachRefused, PeerDied, BridgeTimeout.")
        .def_prop_ro(
            "catalogue",
            [](const Participant& self) {
                const std::string& text = self.catalogue();
                return nb::steal<nb::str>(
                    PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()), "replace"));
            },
            "What the scenario publishes, as JSON text.")
        .def_prop_ro("participants", &Participant::participants, "How many participants the run has.")
        .def_prop_ro("participant", &Participant::participant, "This participant's index.")
        .def_prop_ro("address", [](const Participant& self) { return self.address(); })
        .def_prop_ro("host_pid", &Participant::host_pid, "The scenario's process id.")
        .def_prop_ro("time_ns", &Participant::time_ns,
                     "The simulated time that the scenario has noted last; it may be ahead of what was received.")
        .def(
            "send",
            [](Participant& self, std::uint16_t type, nb::handle body, const std::optional<nb::object>& tail) {
                const BufferBytes body_bytes(body);
                const nb::object tail_object = tail ? *tail : nb::bytes("", 0);
                const BufferBytes tail_bytes(tail_object);
                return Unlocked([&] { return self.Send(type, body_bytes.bytes(), tail_bytes.bytes(), CheckSignals); });
            },
            "type"_a, "body"_a, "tail"_a = nb::none(),
            "Send a frame; returns its sequence number. Arrays that the body refers to must be held by the caller "
            "until "
            "the scenario has answered. Raises PeerDied, BridgeError.")
        .def(
            "receive",
            [](Participant& self, std::optional<double> timeout_s) {
                std::vector<OwnedFrame> frames;
                Unlocked([&] { self.Receive(frames, timeout_s, CheckSignals); });
                nb::list list;
                for (const auto& frame : frames) {
                    list.append(nb::make_tuple(frame.header.type, frame.header.sequence, ToBytes(frame.body()),
                                               ToBytes(frame.tail())));
                }
                return list;
            },
            "timeout_s"_a = nb::none(),
            "Wait for frames: all there are, at least one, as (type, sequence, body, tail). Raises BridgeTimeout, "
            "PeerDied, KeyboardInterrupt.")
        .def(
            "exchange",
            [](Participant& self, std::uint16_t type, nb::handle body) {
                const BufferBytes body_bytes(body);
                const OwnedFrame frame =
                    Unlocked([&] { return self.Exchange(type, body_bytes.bytes(), CheckSignals); });
                return ToBytes(frame.body());
            },
            "type"_a, "body"_a, "Send a frame and wait for one; returns the body of that.")
        .def(
            "allocate",
            [](Participant& self, std::uint64_t nbytes) {
                auto array = self.Allocate(nbytes);
                const ArrayRef ref = array->ref;
                return nb::make_tuple(ToNumpy<std::uint8_t>(std::move(array)),
                                      ToBytes(std::as_bytes(std::span(&ref, 1))));
            },
            "nbytes"_a,
            "A writable array uint8 [nbytes], not initialised, in this participant's arena, and its ArrayRef as bytes. "
            "Its memory is reused once the array is gone and no other process holds it.")
        .def(
            "view",
            [](Participant& self, const nb::bytes& ref, bool counted) {
                return ToNumpy<const std::uint8_t>(self.View(ToRef(ref), counted));
            },
            "ref"_a, nb::kw_only(), "counted"_a = true,
            "The array behind an ArrayRef, uint8 [size_bytes], without a copy and read-only. Its pages are "
            "copy-on-write: writing through it by force changes nobody else's data. `counted`: the sender has counted "
            "this process as a holder.")
        .def(
            "detach", [](Participant& self) { Unlocked([&] { self.Detach(CheckSignals); }); },
            "Leave in good order; whatever is called afterwards raises. Harmless when repeated.")
        .def(
            "close", [](Participant& self) { Unlocked([&] { self.Close(); }); },
            "Give back all but the arrays that are still alive. Without detach() before, the run ends for everybody.");
}
