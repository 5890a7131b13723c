// SPDX-License-Identifier: GPL-2.0-only
/// \file
/// What programs written for ns3-ai include.
#pragma once

#include "ns3/ns3-ai-msg-interface.h"
