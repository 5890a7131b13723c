# SPDX-License-Identifier: GPL-2.0-only
"""NR's tables and error model, against slow versions of the same written from the standard."""

import math
import random
import subprocess
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest

from edgelam.paths import installed

# (Q_m, R x 1024) of TS 38.214 tables 5.1.3.1-1 to -4, without what they have in common.
SCHEMES: list[tuple[int, float]] = (
    [(2, r) for r in (30, 40, 50, 64, 78, 99, 120, 157, 193, 251, 308, 379, 449, 526, 602, 679)]
    + [(4, r) for r in (340, 378, 434, 490, 553, 616, 658)]
    + [(6, r) for r in (438, 466, 517, 567, 616, 666, 719, 772, 822, 873, 910, 948)]
    + [(8, r) for r in (682.5, 711, 754, 797, 841, 885, 916.5, 948)]
    + [(10, r) for r in (805.5, 853, 900.5, 948)]
)

# TS 38.214 table 5.1.3.2-1, as the runs of equal steps that it is made of
SMALL_SIZES = [
    *range(24, 193, 8),
    *range(208, 385, 16),
    *range(408, 577, 24),
    *range(608, 769, 32),
    *range(808, 929, 40),
    *(984, 1032, 1064),
    *range(1128, 1353, 32),
    *range(1416, 1929, 64),
    2024,
    *range(2088, 2281, 64),
    *range(2408, 2857, 64),
    *(2976, 3104),
    *range(3240, 3753, 128),
    3824,
]

# TS 38.212 table 5.3.2-1
LIFTING_SIZES = sorted(a << j for a in (2, 3, 5, 7, 9, 11, 13, 15) for j in range(8) if a << j <= 384)


def log2_floor(value: Fraction) -> int:
    exponent = 0
    while Fraction(2) ** (exponent + 1) <= value:
        exponent += 1
    while Fraction(2) ** exponent > value:
        exponent -= 1
    return exponent


class Block(NamedTuple):
    """What decides on the size of a transport block."""

    prbs: int
    symbols: int
    dmrs: int  # resource elements of one resource block
    overhead: int  # the same
    bits: int  # of a symbol
    rate: float  # R x 1024
    layers: int


def transport_block_size(block: Block) -> int:
    """TS 38.214 5.1.3.2, word by word, in fractions."""
    code_rate = Fraction(block.rate) / 1024
    elements = min(156, 12 * block.symbols - block.dmrs - block.overhead) * block.prbs
    info = elements * code_rate * block.bits * block.layers
    if info <= 3824:
        n = max(3, log2_floor(info) - 6)
        quantised = max(24, 2**n * math.floor(info / 2**n))
        return next(size for size in SMALL_SIZES if size >= quantised)
    n = log2_floor(info - 24) - 5
    quantised = max(3840, 2**n * math.floor((info - 24) / 2**n + Fraction(1, 2)))  # "ties towards the next larger"
    if code_rate <= Fraction(1, 4):
        blocks = math.ceil(Fraction(quantised + 24, 3816))
    elif quantised > 8424:
        blocks = math.ceil(Fraction(quantised + 24, 8424))
    else:
        blocks = 1
    return 8 * blocks * math.ceil(Fraction(quantised + 24, 8 * blocks)) - 24


def code_blocks(size: int, rate: float) -> tuple[int, int, Fraction, int, int]:
    """Base graph, C, K', Z_c and L of TS 38.212 7.2.1, 7.2.2 and 5.2.2."""
    crc = 24 if size > 3824 else 16
    code_rate = Fraction(rate) / 1024
    graph = 2 if size <= 292 or (size <= 3824 and code_rate <= Fraction(67, 100)) or code_rate <= Fraction(1, 4) else 1
    largest = {1: 8448, 2: 3840}[graph]
    total = size + crc
    count, each_crc = (1, 0) if total <= largest else (math.ceil(Fraction(total, largest - 24)), 24)
    each = Fraction(total + count * each_crc, count)
    columns = 22 if graph == 1 else 10 if total > 640 else 9 if total > 560 else 8 if total > 192 else 6
    lifting = next(z for z in LIFTING_SIZES if columns * z >= each)
    return graph, count, each, lifting, crc


def ask(questions: list[str]) -> list[list[float]]:
    done = subprocess.run(
        [installed("bin/tools/nr-tables")],
        input="".join(question + "\n" for question in questions),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    answers = [[float(word) for word in line.split()] for line in done.stdout.splitlines()]
    assert len(answers) == len(questions)
    return answers


@pytest.mark.parametrize("suite", ["edgelam-nr-tables", "edgelam-nr-error-model"])
def test_suite(suite: str) -> None:
    done = subprocess.run(
        [installed("bin/tests/edgelam-ns3-test"), f"--suite={suite}", "--verbose"],
        check=False,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"PASS {suite}" in done.stdout


def test_slow_version_knows_the_reference_channels() -> None:
    """TS 38.521-4: so that two wrong versions cannot agree."""
    assert len(SMALL_SIZES) == 93
    assert len(LIFTING_SIZES) == 51
    assert transport_block_size(Block(52, 12, 18, 0, 2, 308, 1)) == 3904
    assert transport_block_size(Block(6, 12, 12, 0, 2, 308, 1)) == 480
    assert transport_block_size(Block(52, 7, 12, 0, 2, 308, 1)) == 2280
    assert transport_block_size(Block(52, 12, 12, 0, 2, 602, 1)) == 8064
    assert transport_block_size(Block(273, 13, 12, 0, 8, 948, 4)) == 1179864


def test_transport_blocks() -> None:
    rng = random.Random(4)
    cases: list[Block] = []
    while len(cases) < 10_000:
        prbs = rng.choice((rng.randint(1, 12), rng.randint(1, 275), rng.randint(1, 1092)))
        symbols, dmrs, overhead = rng.randint(1, 14), rng.choice((0, 6, 12, 18, 24, 36)), rng.choice((0, 6, 12, 18))
        if 12 * symbols > dmrs + overhead:
            bits, rate = rng.choice(SCHEMES)
            cases.append(Block(prbs, symbols, dmrs, overhead, bits, rate, rng.randint(1, 4)))
    answers = ask([f"tbs {p} {s} {d} {o} {q} {int(2 * r)} {v}" for p, s, d, o, q, r, v in cases])
    for case, answer in zip(cases, answers, strict=True):
        size = transport_block_size(case)
        assert tuple(answer) == (size, *code_blocks(size, case.rate)), case
    assert {answer[1] for answer in answers} == {1, 2}


def symbol_information(bits: int, snr: float) -> tuple[float, float]:
    """Mean and variance of what a Gray-labelled QAM symbol says about its bits, summed over the plane.

    Over both dimensions and all labels at once, by a plain sum over a fine grid of received values.
    """
    half = bits // 2
    levels = np.arange(2**half) * 2.0 - (2**half - 1)
    gray = np.arange(2**half) ^ (np.arange(2**half) >> 1)
    x_S = (levels[:, None] + 1j * levels[None, :]).ravel()
    label_S = (gray[:, None] << half | gray[None, :]).ravel()
    x_S = x_S / np.sqrt(np.mean(np.abs(x_S) ** 2))
    noise_g = np.linspace(-5.5, 5.5, 61)
    weight_gg = np.exp(-(noise_g[:, None] ** 2 + noise_g[None, :] ** 2))
    weight_G = (weight_gg / weight_gg.sum()).ravel()
    noise_G = ((noise_g[:, None] + 1j * noise_g[None, :]) / np.sqrt(snr)).ravel()
    mean = square = 0.0
    for sent, label in zip(x_S, label_S, strict=True):
        distance_GS = np.abs(sent + noise_G[:, None] - x_S[None, :]) ** 2 * snr
        likelihood_GS = np.exp(distance_GS.min(axis=1, keepdims=True) - distance_GS)
        information_G = np.full(len(noise_G), float(bits))
        for bit in range(bits):
            alike_S = ((label_S ^ label) >> bit & 1) == 0
            information_G -= np.log2(likelihood_GS.sum(axis=1) / likelihood_GS[:, alike_S].sum(axis=1))
        mean += float(weight_G @ information_G) / len(x_S)
        square += float(weight_G @ information_G**2) / len(x_S)
    return mean, square - mean**2


@pytest.mark.parametrize(("bits", "snr_db"), [(2, -3.0), (2, 4.0), (4, 5.0), (4, 10.0), (6, 8.0), (6, 15.0)])
def test_error_rate(bits: int, snr_db: float) -> None:
    gap_db = 1.3
    mean, variance = symbol_information(bits, 10 ** (snr_db / 10))
    questions, expected = [], []
    for symbols in (100, 1500):
        for sigmas in (-2, -1, 0, 1, 2, 3):
            info = symbols * mean + 0.5 * math.log2(symbols) - sigmas * math.sqrt(symbols * variance)
            questions.append(f"bler {bits} {info} {symbols} {snr_db + gap_db} {gap_db}")
            expected.append(0.5 * math.erfc(sigmas / math.sqrt(2)))
    answers = [answer for (answer,) in ask(questions)]
    # The program interpolates in a table of steps of 0.25 dB; 0.01 dB is 0.05 sigmas at most here.
    assert answers == pytest.approx(expected, rel=0.15)


def test_eesm() -> None:
    rng = np.random.default_rng(2)
    questions, expected = [], []
    for beta in (1.6, 6.5, 34.28, 132.54):
        for count in (1, 2, 5, 273):
            sinr = np.round(10 ** rng.uniform(-1, 3, count), 4)
            questions.append(f"eesm {beta} " + " ".join(map(str, sinr)))
            least = sinr.min()
            expected.append(least - beta * math.log(np.mean(np.exp(-(sinr - least) / beta))))
    assert [answer for (answer,) in ask(questions)] == pytest.approx(expected, rel=1e-5)


def test_the_program_refuses_impossible_settings() -> None:
    for question, part in (("tbs 0 12 12 0 2 616 1", "0 resource blocks"), ("huh", "unknown question 'huh'")):
        done = subprocess.run(
            [installed("bin/tools/nr-tables")], input=question + "\n", check=False, capture_output=True, text=True
        )
        assert done.returncode == 2
        assert part in done.stderr
