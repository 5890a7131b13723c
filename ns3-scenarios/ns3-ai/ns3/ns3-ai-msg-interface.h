// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// The message interface of ns3-ai over edgelam's bridge, under the names its users know: docs/coming-from-ns3-ai.md.
/// Compiled into the ns-3 program and into the user's Python module; both link edgelam-ns3-ai.
#pragma once

// Programs count on what ns3-ai's own header brings along.
#include <array>
#include <cassert>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <typeinfo>
#include <vector>

#include "ns3/callback.h"
#include "ns3/log.h"
#include "ns3/object.h"
#include "ns3/ptr.h"
#include "ns3/singleton.h"
#include "ns3/type-id.h"

#include "edgelam/bridge/ns3-ai/exchange.h"
#include "ns3/ns3-ai-msg-vector.h"

namespace ns3 {

/// One pair of messages: Cpp2Py goes from the ns-3 program to Python, Py2Cpp back. Either side writes or reads a
/// message between Begin and End. SendBegin waits until the other side has read the last one, RecvBegin until there is
/// one. Errors are RuntimeError in Python; they end an ns-3 program with a text and exit status 1.
template<typename Cpp2PyMsgType, typename Py2CppMsgType>
class Ns3AiMsgInterfaceImpl {
  public:
    typedef Ns3AiMsgVector<Cpp2PyMsgType> Cpp2PyMsgVector;
    typedef Ns3AiMsgVector<Py2CppMsgType> Py2CppMsgVector;

    /// \param is_memory_creator this side makes the memory; the other side opens it
    /// \param use_vector messages are vectors
    /// \param handle_finish the end of the ns-3 program is told by PyGetFinished; without, it is an error in Python
    /// \param size bytes of the memory, as its creator gives them. A struct pair must fit, a vector each
    /// \param segment_name the same on both sides; My Seg, ns3-ai_single_trial and ns3-ai are one name
    /// \param cpp2py_msg_name, py2cpp_msg_name, lockable_name not needed here
    Ns3AiMsgInterfaceImpl(bool is_memory_creator, bool use_vector, bool handle_finish, uint32_t size = 8192,
                          const char* segment_name = "My Seg",
                          [[maybe_unused]] const char* cpp2py_msg_name = "My Cpp to Python Msg",
                          [[maybe_unused]] const char* py2cpp_msg_name = "My Python to Cpp Msg",
                          [[maybe_unused]] const char* lockable_name = "My Lockable")
        : m_vector(use_vector), m_exchange({.segment = segment_name,
                                            .creator = is_memory_creator,
                                            .vector = use_vector,
                                            .handle_finish = handle_finish,
                                            .memory_bytes = size,
                                            .from_cpp = LayoutOf<Cpp2PyMsgType>(),
                                            .from_python = LayoutOf<Py2CppMsgType>()}) {
        if (is_memory_creator) {
            Make<Cpp2PyMsgType>(Side::cpp);
            Make<Py2CppMsgType>(Side::python);
        }
    }

    Ns3AiMsgInterfaceImpl(const Ns3AiMsgInterfaceImpl&) = delete;
    Ns3AiMsgInterfaceImpl& operator=(const Ns3AiMsgInterfaceImpl&) = delete;

    // In the ns-3 program.
    void CppSendBegin() { m_exchange.SendBegin(Side::cpp); }
    void CppSendEnd() { m_exchange.SendEnd(Side::cpp); }
    void CppRecvBegin() { m_exchange.RecvBegin(Side::python); }
    void CppRecvEnd() { m_exchange.RecvEnd(Side::python); }
    /// Tells Python that no message will come. Happens by itself at the program's end.
    void CppSetFinished() { m_exchange.SetFinished(Side::cpp); }
    bool CppGetFinished() { return m_exchange.Finished(Side::python); }

    // In Python.
    void PySendBegin() { m_exchange.SendBegin(Side::python); }
    void PySendEnd() { m_exchange.SendEnd(Side::python); }
    void PyRecvBegin() { m_exchange.RecvBegin(Side::cpp); }
    void PyRecvEnd() { m_exchange.RecvEnd(Side::cpp); }
    void PySetFinished() { m_exchange.SetFinished(Side::python); }
    /// True after a PyRecvBegin that returned because the ns-3 program has ended, not because of a message.
    bool PyGetFinished() { return m_exchange.Finished(Side::cpp); }

    Cpp2PyMsgType* GetCpp2PyStruct() { return Struct<Cpp2PyMsgType>(Side::cpp, "GetCpp2PyStruct"); }
    Py2CppMsgType* GetPy2CppStruct() { return Struct<Py2CppMsgType>(Side::python, "GetPy2CppStruct"); }
    Cpp2PyMsgVector* GetCpp2PyVector() { return Vector<Cpp2PyMsgType>(Side::cpp, "GetCpp2PyVector"); }
    Py2CppMsgVector* GetPy2CppVector() { return Vector<Py2CppMsgType>(Side::python, "GetPy2CppVector"); }

  private:
    using Exchange = edgelam::bridge::Exchange;
    using Side = edgelam::bridge::Side;

    template<typename T>
    static edgelam::bridge::MessageLayout LayoutOf() {
        static_assert(std::is_trivially_destructible_v<T> && !std::is_polymorphic_v<T>,
                      "a message is read by another process: it cannot hold std::string, std::vector, ns3::Ptr, "
                      "ns3::Time, virtual functions or a destructor of its own (~T() {}). Use numbers, arrays of fixed "
                      "size and structs of these; for a time its GetSeconds() or GetNanoSeconds()");
        static_assert(alignof(T) <= Exchange::message_room_bytes, "a message is aligned to 64 bytes at most");
        return {edgelam::bridge::TypeName(typeid(T).name()), sizeof(T), alignof(T)};
    }

    template<typename T>
    void Make(Side sender) {
        std::byte* place = m_exchange.message(sender);
        std::byte* content = place + Exchange::message_room_bytes;
        if (m_vector) {
            new (place) Ns3AiMsgVector<T>(reinterpret_cast<T*>(content), m_exchange.memory_bytes() / sizeof(T));
        } else {
            new (content) T();
        }
    }

    template<typename T>
    T* Struct(Side sender, const char* what) const {
        if (m_vector) {
            edgelam::bridge::FailExchange(std::string(what) + "(): this interface was made for vectors (use_vector)");
        }
        return reinterpret_cast<T*>(m_exchange.message(sender) + Exchange::message_room_bytes);
    }

    template<typename T>
    Ns3AiMsgVector<T>* Vector(Side sender, const char* what) const {
        if (!m_vector) {
            edgelam::bridge::FailExchange(std::string(what) +
                                          "(): this interface was made for structs; say SetUseVector(true) in C++ and "
                                          "useVector=True in Python");
        }
        return reinterpret_cast<Ns3AiMsgVector<T>*>(m_exchange.message(sender));
    }

    bool m_vector;
    Exchange m_exchange;
};

/// The ns-3 program's way to its interfaces: settings, and then one interface for each pair of types.
class Ns3AiMsgInterface : public Singleton<Ns3AiMsgInterface> {
  public:
    void SetIsMemoryCreator(bool isMemoryCreator) { m_isMemoryCreator = isMemoryCreator; }
    void SetUseVector(bool useVector) { m_useVector = useVector; }
    void SetHandleFinish(bool handleFinish) { m_handleFinish = handleFinish; }
    void SetMemorySize(uint32_t size) { m_size = size; }
    void SetNames(std::string segmentName, std::string cpp2pyMsgName, std::string py2cppMsgName,
                  std::string lockableName) {
        m_segmentName = std::move(segmentName);
        m_cpp2pyMsgName = std::move(cpp2pyMsgName);
        m_py2cppMsgName = std::move(py2cppMsgName);
        m_lockableName = std::move(lockableName);
    }

    /// What later versions of ns3-ai have in place of SetNames.
    void SetTrialName(const std::string& trialName) { m_segmentName = "ns3-ai_" + trialName; }

    /// Made by the first call for these types, with the settings at that time; every later call gives the same.
    template<typename Cpp2PyMsgType, typename Py2CppMsgType>
    Ns3AiMsgInterfaceImpl<Cpp2PyMsgType, Py2CppMsgType>* GetInterface() {
        static Ns3AiMsgInterfaceImpl<Cpp2PyMsgType, Py2CppMsgType> interface(
            m_isMemoryCreator, m_useVector, m_handleFinish, m_size, m_segmentName.c_str(), m_cpp2pyMsgName.c_str(),
            m_py2cppMsgName.c_str(), m_lockableName.c_str());
        return &interface;
    }

  private:
    bool m_isMemoryCreator = false;
    bool m_useVector = false;
    bool m_handleFinish = false;
    uint32_t m_size = 8192;
    std::string m_segmentName = "My Seg";
    std::string m_cpp2pyMsgName = "My Cpp to Python Msg";
    std::string m_py2cppMsgName = "My Python to Cpp Msg";
    std::string m_lockableName = "My Lockable";
};

} // namespace ns3
