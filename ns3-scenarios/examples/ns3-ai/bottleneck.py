# SPDX-License-Identifier: GPL-2.0-only
"""An agent learns how fast to send into a bottleneck of 5 Mb/s: epsilon-greedy over seven rates.

Compile bottleneck.cc and bottleneck_py.cc as docs/coming-from-ns3-ai.md says, then: python bottleneck.py. It finds that
5 Mb/s is best: beyond, the queue fills, every packet waits and some are lost.
"""

import random
import sys

import bottleneck_py as py_binding
from ns3ai_utils import Experiment

RATES_BPS = [1e6, 2e6, 3e6, 4e6, 5e6, 6e6, 7e6]
DELAY_PRICE = 20e6  # what a second of delay costs, in bit/s of goodput

duration_s = int(sys.argv[1]) if len(sys.argv) > 1 else 60
draw = random.Random(1)
value = dict.fromkeys(RATES_BPS, 0.0)  # the mean reward so far
tries = dict.fromkeys(RATES_BPS, 0)
rate_bps, steps = None, 0

exp = Experiment("bottleneck", "../../..", py_binding, handleFinish=True)
msgInterface = exp.run(setting={"duration": duration_s}, show_output=True)

try:
    while True:
        msgInterface.PyRecvBegin()
        if msgInterface.PyGetFinished():
            break
        seen = msgInterface.GetCpp2PyStruct()
        reward = seen.goodput_bps - DELAY_PRICE * seen.mean_delay_s
        queued = seen.queued_packets
        msgInterface.PyRecvEnd()

        steps += 1
        if rate_bps is not None and steps % 5 == 0:  # a rate is held for 0.5 s, and judged by its last 0.1 s
            tries[rate_bps] += 1
            value[rate_bps] += (reward - value[rate_bps]) / tries[rate_bps]
        if rate_bps is None or steps % 5 == 0:
            untried = [rate for rate in RATES_BPS if tries[rate] == 0]
            if queued > 5:
                rate_bps = RATES_BPS[0]  # let the queue run empty first
            elif untried or draw.random() < 0.2:
                rate_bps = draw.choice(untried or RATES_BPS)
            else:
                rate_bps = max(value, key=value.get)

        msgInterface.PySendBegin()
        msgInterface.GetPy2CppStruct().rate_bps = rate_bps
        msgInterface.PySendEnd()
finally:
    del exp

for rate in RATES_BPS:
    print(f"{rate / 1e6:.0f} Mb/s: mean reward {value[rate] / 1e6:6.2f} in {tries[rate]} tries")
print(f"{steps} steps; best: {max(value, key=value.get) / 1e6:.0f} Mb/s")
