// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What a library that may or may not be in a Python process does about it. The users' own binding modules hold the
/// global interpreter lock while they call us; here it is released while we wait, and Ctrl-C is seen.
#pragma once

namespace edgelam::bridge {

/// True in a process that runs Python.
bool InPython();

/// How many threads of this process have run Python code and live; 0 without Python. The caller holds the lock.
int PythonThreads();

/// Releases the global interpreter lock, if this thread holds it, until the end of the scope.
class PythonUnlocked {
  public:
    PythonUnlocked();
    ~PythonUnlocked();
    PythonUnlocked(const PythonUnlocked&) = delete;
    PythonUnlocked& operator=(const PythonUnlocked&) = delete;

    /// Lets Python's signal handlers run. False when one raised an exception: the caller returns at once, as if all
    /// were well, and Python raises the exception where the call returns.
    bool RunSignalHandlers();

  private:
    void* m_thread_state = nullptr;
};

} // namespace edgelam::bridge
