// SPDX-License-Identifier: GPL-2.0-only
#include "python_process.h"

// Python's C interface, null in a process without Python. Weak, so that one library serves both processes and
// every Python version.
extern "C" {
[[gnu::weak]] int Py_IsInitialized();
[[gnu::weak]] int PyGILState_Check();
[[gnu::weak]] void* PyEval_SaveThread();
[[gnu::weak]] void PyEval_RestoreThread(void*);
[[gnu::weak]] int PyErr_CheckSignals();
[[gnu::weak]] void PyErr_Fetch(void**, void**, void**);
[[gnu::weak]] void PyErr_Restore(void*, void*, void*);
[[gnu::weak]] int Py_AddPendingCall(int (*)(void*), void*);
[[gnu::weak]] void* PyInterpreterState_Get();
[[gnu::weak]] void* PyInterpreterState_ThreadHead(void*);
[[gnu::weak]] void* PyThreadState_Next(void*);
}

namespace edgelam::bridge {

namespace {

/// What a signal handler raised, kept until the interpreter's main loop comes by.
struct Raised {
    void *type = nullptr, *value = nullptr, *traceback = nullptr;
};

int RaiseAgain(void* argument) {
    const Raised raised = *static_cast<Raised*>(argument);
    delete static_cast<Raised*>(argument);
    PyErr_Restore(raised.type, raised.value, raised.traceback);
    return -1;
}

} // namespace

bool InPython() {
    return Py_IsInitialized != nullptr && Py_IsInitialized() != 0;
}

int PythonThreads() {
    int threads = 0;
    if (InPython() && PyGILState_Check() != 0) {
        for (void* each = PyInterpreterState_ThreadHead(PyInterpreterState_Get()); each != nullptr;
             each = PyThreadState_Next(each)) {
            ++threads;
        }
    }
    return threads;
}

PythonUnlocked::PythonUnlocked() {
    if (InPython() && PyGILState_Check() != 0) {
        m_thread_state = PyEval_SaveThread();
    }
}

PythonUnlocked::~PythonUnlocked() {
    if (m_thread_state != nullptr) {
        PyEval_RestoreThread(m_thread_state);
    }
}

bool PythonUnlocked::RunSignalHandlers() {
    if (m_thread_state == nullptr) {
        return true;
    }
    PyEval_RestoreThread(m_thread_state);
    const bool calm = PyErr_CheckSignals() == 0;
    if (!calm) {
        // Thrown through the binding module, KeyboardInterrupt would become RuntimeError, which programs catch.
        auto* raised = new Raised;
        PyErr_Fetch(&raised->type, &raised->value, &raised->traceback);
        Py_AddPendingCall(RaiseAgain, raised);
    }
    m_thread_state = PyEval_SaveThread();
    return calm;
}

} // namespace edgelam::bridge
