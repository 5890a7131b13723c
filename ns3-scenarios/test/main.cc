// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// Runs the ns-3 test suites linked into this program: all of them, or --suite=NAME; --list lists them.

#include "ns3/test.h"

int main(int argc, char* argv[]) {
    return ns3::TestRunner::Run(argc, argv);
}
