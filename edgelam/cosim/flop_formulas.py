# SPDX-License-Identifier: GPL-2.0-only
"""FLOP formulas for PyTorch's operators, in addition to those of `torch.utils.flop_counter`.

A multiplication and an addition are 2 FLOPs. A formula is called with the operator's arguments, and with its result as
`out_val`. It returns the FLOPs for real values; the counter multiplies them by 4 for products of complex values (4
multiplications and 4 additions each). Counts of dense linear algebra are the leading terms of Golub and Van Loan,
Matrix Computations (4th ed.), and of LAPACK Working Note 41. A Fourier transform has the usual 5 N log2 N.

Shape letters: B batch, M N K matrix sides, L S lengths of queries and keys, D width, F inner width.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

Formula = Callable[..., int]
FFT = ("_fft_c2c", "_fft_r2c", "_fft_c2r")
"""Operators whose formulas handle complex values themselves."""


def sizes(tensor: Any) -> list[tuple[int, ...]]:
    """Return the shapes of a nested tensor's parts, or of the one tensor."""
    if tensor.is_nested and tensor.layout is _torch().strided:
        return [tuple(row) for row in tensor._nested_tensor_size().tolist()]
    return [tuple(tensor.shape)]


def stored(tensor: Any) -> int:
    """Return the number of values that a sparse tensor stores, or that a dense one has."""
    torch = _torch()
    if tensor.layout is torch.sparse_coo:
        return int(tensor._values().numel())  # noqa: SLF001
    if tensor.layout in (torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc):
        return int(tensor.values().numel())
    return int(tensor.numel())


def _torch() -> Any:
    import torch

    return torch


def _dense(tensor: Any) -> bool:
    return tensor.layout in (_torch().strided, _torch()._mkldnn)


# ---- products of matrices and vectors ----------------------------------------------------------------------------


def product(a: Any, b: Any, *args: Any, **kwargs: Any) -> int:
    """[*, M, K] @ [*, K, N] or [*, K, N] = [N]: 2 for each value stored in one and column or row of the other."""
    if a.is_nested:
        return sum(2 * math.prod(size) * other[-1] for size, other in zip(sizes(a), sizes(b), strict=True))
    if not _dense(a) and not _dense(b):
        return sparse_sparse(a, b)
    if not _dense(b):
        return 2 * stored(b) * a.shape[-2]
    return 2 * stored(a) * (b.shape[-1] if b.dim() > 1 else 1)


def add_product(self: Any, a: Any, b: Any, *args: Any, **kwargs: Any) -> int:
    """self + a @ b."""
    return product(a, b)


def sparse_sparse(a: Any, b: Any, *args: Any, **kwargs: Any) -> int:
    """[M, K] @ [K, N], both sparse: 2 for each pair of a value of column k in `a` and one of row k in `b`."""
    torch = _torch()
    columns = a.to_sparse_coo().coalesce().indices()[-1]
    rows = b.to_sparse_coo().coalesce().indices()[-2]
    return 2 * int(torch.bincount(rows, minlength=b.shape[-2])[columns].sum())


def sampled_product(self: Any, a: Any, b: Any, *args: Any, **kwargs: Any) -> int:
    """(a @ b) where the sparse `self` stores values."""
    return 2 * stored(self) * int(a.shape[-1])


def dot(a: Any, b: Any, *args: Any, **kwargs: Any) -> int:
    """[N] . [N]."""
    return 2 * int(a.numel())


def outer_sum(self: Any, a: Any, b: Any, *args: Any, **kwargs: Any) -> int:
    """self + outer product of [M] and [N]."""
    return 2 * int(a.numel() * b.numel())


def out_times_inner(a: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """Count a product of [*, K] and a weight in any format: 2 K for each value of the result."""
    return 2 * sum(math.prod(size) for size in sizes(out_val)) * sizes(a)[0][-1]


def add_out_times_inner(self: Any, a: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """Count self + such a product."""
    return out_times_inner(a, out_val=out_val)


def grouped_product(a: Any, b: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """Products of the groups of [M, K] or [G, M, K] and [G, K, N] or [K, N]."""
    if a.dim() == 2 and b.dim() == 2:  # each group is a slice of K
        return int(2 * a.numel() * b.shape[-1])
    return int(2 * out_val.numel() * a.shape[-1])


def linear_backward(x: Any, gradient: Any, weight: Any, output_mask: Sequence[bool], *args: Any, **kwargs: Any) -> int:
    """Count one product for the input's gradient, and one for the weight's."""
    return sum(bool(wanted) for wanted in output_mask[:2]) * out_times_inner(x, out_val=gradient)


def linear_backward_input(size: Any, gradient: Any, weight: Any, *args: Any, **kwargs: Any) -> int:
    """gradient @ weight."""
    return int(2 * gradient.numel() * weight.shape[-1])


def linear_backward_weights(gradient: Any, x: Any, *args: Any, **kwargs: Any) -> int:
    """gradient^T @ x."""
    return int(2 * gradient.numel() * x.shape[-1])


def matmul_backward(gradient: Any, a: Any, b: Any, mask: Sequence[bool], *args: Any, **kwargs: Any) -> int:
    """Count one product for each gradient that is needed."""
    return sum(mask) * product(a, b)


def linear_combination(x: Any, coefficients: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """[*, K] by [*, K]."""
    return int(2 * out_val.numel() * coefficients.shape[-1])


# ---- attention ---------------------------------------------------------------------------------------------------


def attention(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    """[B, H, L, D], [B, H or fewer, S, D], [.., S, E]: Q K^T and A V."""
    return int(2 * math.prod(query.shape[:-1]) * key.shape[-2] * (query.shape[-1] + value.shape[-1]))


def attention_backward(gradient: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    """5 products: the scores again, and the gradients of A, V, Q and K."""
    pairs = math.prod(query.shape[:-1]) * key.shape[-2]
    return int(2 * pairs * (3 * query.shape[-1] + 2 * value.shape[-1]))


def triton_attention(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> int:
    """Count as `attention` does."""
    return attention(query, key, value)


def multi_head_attention(query: Any, key: Any, value: Any, embed_dim: int, *args: Any, **kwargs: Any) -> int:
    """Projections in and out, Q K^T and A V; nested input is padded for the last two, as PyTorch does it.

    query [B, L, D], key and value [B, S, D].
    """
    queries, keys = sizes(query), sizes(key)
    ranks = len(queries[0])
    tokens, others = sum(math.prod(q[:-1]) for q in queries), sum(math.prod(k[:-1]) for k in keys)
    D = int(embed_dim)
    projections = 2 * (2 * tokens + 2 * others) * D * D
    batch = queries[0][0] if ranks == 3 else len(queries)
    return projections + 2 * 2 * batch * max(q[-2] for q in queries) * max(k[-2] for k in keys) * D


def encoder_layer(src: Any, embed_dim: int, *args: Any, **kwargs: Any) -> int:
    """Count a whole layer of nn.TransformerEncoder: attention, two products with [F, D], two norms."""
    values = sum(math.prod(size) for size in sizes(src))
    first_weight = args[12]  # [F, D], after the weights of attention and of the norms
    feed_forward = 2 * 2 * values * int(first_weight.shape[0])
    return multi_head_attention(src, src, src, embed_dim) + feed_forward + 2 * 8 * values


# ---- norms, embeddings, distances, interpolation -----------------------------------------------------------------


def per_value(number: int) -> Formula:
    """Count this many FLOPs for each value of the first argument."""

    def formula(x: Any, *args: Any, **kwargs: Any) -> int:
        return number * sum(math.prod(size) for size in sizes(x))

    return formula


layer_norm = per_value(8)  # mean 1, variance 3, normalise 2, scale and shift 2
layer_norm_backward = per_value(14)  # about: two reductions, the input's gradient, gain and bias
rms_norm = per_value(4)  # square, add, normalise, scale
rms_norm_backward = per_value(10)  # about: one reduction, the input's gradient, gain


def nothing(*args: Any, **kwargs: Any) -> int:
    """A look-up: memory traffic only."""
    return 0


def embedding_bag(weight: Any, indices: Any, *args: Any, **kwargs: Any) -> int:
    """Count one addition for each value looked up, and one multiplication if samples have weights."""
    weighted = len(args) > 4 and args[4] is not None  # offsets, scale, mode, sparse, weights
    return int(indices.numel() * weight.shape[-1] * (2 if weighted else 1))


def distances(x: Any, y: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """[*, M, D] and [*, N, D]: difference, power and sum of each pair's D values."""
    return int(3 * out_val.numel() * x.shape[-1])


def pair_distances(x: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """[M, D], each with each."""
    return int(3 * out_val.numel() * x.shape[-1])


def distances_backward(gradient: Any, x: Any, *args: Any, **kwargs: Any) -> int:
    """Count as the forward operator does."""
    return int(3 * gradient.numel() * x.shape[-1])


def taps(number: int, which: int = -1) -> Formula:
    """Count an interpolation from `number` neighbours, per output value (-1) or per value of argument `which`."""

    def formula(*args: Any, out_val: Any = None, **kwargs: Any) -> int:
        return int(2 * number * (out_val if which < 0 else args[which]).numel())

    return formula


def grid_sample(x: Any, grid: Any, mode: int = 0, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """[B, C, ...] at [B, ..., 2 or 3]: modes bilinear, nearest, bicubic."""
    neighbours = {0: 2, 1: 1, 2: 4}[mode] ** grid.shape[-1]
    return int(2 * neighbours * x.shape[1] * grid.numel() // grid.shape[-1])


def grid_sample_backward(gradient: Any, x: Any, grid: Any, mode: int = 0, *args: Any, **kwargs: Any) -> int:
    """Gradients of the input and of the grid."""
    return 2 * grid_sample(x, grid, mode)


# ---- convolutions and recurrent networks -------------------------------------------------------------------------


def convolution(x: Any, weight: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """Weight [C_out, C_in / groups, ...] for each output; if transposed, [C_in, C_out / groups, ...] for each input.

    Padding counts as values.
    """
    transposed = args[4]  # bias, stride, padding, dilation, transposed
    return int(2 * (x if transposed else out_val).numel() * math.prod(weight.shape[1:]))


def convolution_backward(gradient: Any, x: Any, weight: Any, *args: Any, **kwargs: Any) -> int:
    """Count the forward FLOPs once for the input's gradient and once for the weight's gradient."""
    transposed, output_mask = args[4], args[7]  # .., transposed, output padding, groups, output mask
    once = 2 * (x if transposed else gradient).numel() * math.prod(weight.shape[1:])
    return int(sum(bool(wanted) for wanted in output_mask[:2]) * once)


def plain_convolution(x: Any, weight: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """Count a backend's convolution that is not transposed."""
    return int(2 * out_val.numel() * math.prod(weight.shape[1:]))


def plain_convolution_backward(gradient: Any, x: Any, weight: Any, *args: Any, **kwargs: Any) -> int:
    """Count both gradients of a backend's convolution."""
    return int(2 * 2 * gradient.numel() * math.prod(weight.shape[1:]))


def transposed_convolution(x: Any, weight: Any, *args: Any, **kwargs: Any) -> int:
    """Count a backend's transposed convolution."""
    return int(2 * x.numel() * math.prod(weight.shape[1:]))


def transposed_convolution_backward(x: Any, gradient: Any, weight: Any, *args: Any, **kwargs: Any) -> int:
    """Count both gradients of a backend's transposed convolution."""
    return int(2 * 2 * x.numel() * math.prod(weight.shape[1:]))


def convolution_tbc(x: Any, weight: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """[T, B, C] with [k, C, C_out]."""
    return int(2 * out_val.numel() * math.prod(weight.shape[:2]))


def rnn_layer(x: Any, weight_x: Any, weight_h: Any, *args: Any, **kwargs: Any) -> int:
    """One direction of one layer of LSTM, GRU or RNN: in each step, x [L, B, K] by [gates, K], state by [gates, H]."""
    return int(2 * math.prod(x.shape[:-1]) * (weight_x.numel() + weight_h.numel()))


def rnn_layer_backward(x: Any, weight_1: Any, weight_2: Any, *args: Any, **kwargs: Any) -> int:
    """Gradients of values and of weights."""
    return 2 * rnn_layer(x, weight_1, weight_2)


def rnn(x: Any, weights: Sequence[Any], *args: Any, **kwargs: Any) -> int:
    """All layers and directions, with weights as a list: every matrix once per step."""
    return int(2 * math.prod(x.shape[:-1]) * sum(w.numel() for w in weights if w.dim() > 1))


def rnn_backward(x: Any, weights: Sequence[Any], *args: Any, **kwargs: Any) -> int:
    """Gradients of values and of weights."""
    return 2 * rnn(x, weights)


# ---- Fourier transforms ------------------------------------------------------------------------------------------


def fourier(x: Any, dims: Sequence[int], *args: Any, **kwargs: Any) -> int:
    """Complex to complex: 5 N log2 N."""
    length = math.prod(x.shape[d] for d in dims)
    return round(5 * x.numel() * math.log2(length)) if length > 1 else 0


def real_fourier(x: Any, dims: Sequence[int], *args: Any, **kwargs: Any) -> int:
    """Real to complex: half of that."""
    return fourier(x, dims) // 2


def inverse_real_fourier(x: Any, dims: Sequence[int], *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """Complex to real: half of that."""
    return fourier(out_val, dims) // 2


# ---- dense linear algebra ----------------------------------------------------------------------------------------


def factor(count: Callable[[float, float], float]) -> Formula:
    """`count(M, N)` FLOPs for each matrix of [*, M, N], M >= N (the transposed otherwise)."""

    def formula(a: Any, *args: Any, **kwargs: Any) -> int:
        M, N = max(a.shape[-2:]), min(a.shape[-2:])
        return round(math.prod(a.shape[:-2]) * count(M, N))

    return formula


def _lu(M: float, N: float) -> float:
    return M * N * N - N**3 / 3


def _qr(M: float, N: float) -> float:
    return 2 * N * N * (M - N / 3)


def solve(a: Any, b: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """Factor [*, N, N], then solve two triangular systems for each right-hand side."""
    return factor(_lu)(a) + 2 * int(a.shape[-1]) * int(out_val[0].numel())


def two_triangular(b: Any, a: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """b [*, N, R], factored matrices [*, N, N]."""
    return 2 * int(a.shape[-1]) * int(out_val.numel())


def factored_solve(a: Any, pivots: Any, b: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """Count for matrices that are factored already, and b [*, N, R]."""
    return 2 * int(a.shape[-1]) * int(out_val.numel())


def triangular_solve(b: Any, a: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """Count one triangular system per right-hand side."""
    return int(a.shape[-1]) * int(out_val[0].numel())


def solve_triangular(a: Any, b: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """Count one triangular system per right-hand side."""
    return int(a.shape[-1]) * int(out_val.numel())


def least_squares(a: Any, b: Any, *args: Any, **kwargs: Any) -> int:
    """QR of [*, M, N], Q^T b and a triangular system."""
    M, N = int(a.shape[-2]), int(a.shape[-1])
    return factor(_qr)(a) + round(b.numel() * (4 * N - N * N / max(M, 1)))


def qr(a: Any, mode: str = "reduced", *args: Any, **kwargs: Any) -> int:
    """R, and Q formed from its reflections if it is needed."""
    M, N, batch = int(a.shape[-2]), int(a.shape[-1]), math.prod(a.shape[:-2])
    K = min(M, N)
    r = factor(_qr)(a)
    if mode == "r":
        return r
    width = M if mode == "complete" else K
    return r + round(batch * _reflections(M, width, K))


def _reflections(M: float, width: float, K: float) -> float:
    """[M, width] orthogonal columns from K reflections (LAPACK Working Note 41, xORGQR)."""
    return 4 * M * width * K - 2 * (M + width) * K * K + 4 * K**3 / 3


def householder_product(a: Any, tau: Any, *args: Any, **kwargs: Any) -> int:
    """[*, M, N] from K reflections."""
    M, N, K = int(a.shape[-2]), int(a.shape[-1]), int(tau.shape[-1])
    return round(math.prod(a.shape[:-2]) * _reflections(M, N, K))


def multiply_by_q(a: Any, tau: Any, other: Any, *args: Any, **kwargs: Any) -> int:
    """K reflections on [*, M, N] (xORMQR, from the left)."""
    M, K = int(a.shape[-2]), int(tau.shape[-1])
    return round(other.numel() * (4 * K - 2 * K * K / M))


def eigh(a: Any, uplo: str = "L", vectors: bool = True, *args: Any, **kwargs: Any) -> int:
    """Symmetric: 4/3 N^3 to tridiagonal form; 9 N^3 in all with vectors (when counted, eigvalsh also makes them)."""
    return factor(lambda M, N: (9 if vectors else 4 / 3) * N**3)(a)


def svd(a: Any, full: bool = False, vectors: bool = True, *args: Any, **kwargs: Any) -> int:
    """Golub and Van Loan, figure 8.6.1 (when counted, svdvals also makes vectors)."""
    if not vectors:
        return factor(lambda M, N: 4 * M * N * N - 4 / 3 * N**3)(a)
    if full:
        return factor(lambda M, N: 4 * M * M * N + 8 * M * N * N + 9 * N**3)(a)
    return factor(lambda M, N: 14 * M * N * N + 8 * N**3)(a)


_EXPONENTIAL_DEGREES = {  # 1-norms up to which Taylor polynomials of degree 1, 2, 4, 8, 12, 18 do (arXiv 1710.10989)
    4: (1.192092800768788e-07, 5.978858893805233e-04, 5.116619363445086e-02, 5.800524627688768e-01,
        1.461661507209034e00, 3.010066362817634e00),
    8: (2.220446049250313e-16, 2.580956802971767e-08, 3.397168839976962e-04, 4.991228871115323e-02,
        2.996158913811580e-01, 1.090863719290036e00),
}  # fmt: skip


def matrix_exponential(a: Any, *args: Any, **kwargs: Any) -> int:
    """[*, N, N]: 0 to 5 products for the polynomial, and one for each squaring; each matrix's norm decides."""
    if a.numel() == 0:
        return 0
    torch = _torch()
    limits = _EXPONENTIAL_DEGREES[8 if a.dtype in (torch.float64, torch.complex128) else 4]
    if a.is_meta:
        norms = [limits[-1]] * math.prod(a.shape[:-2])
    else:
        norms = a.detach().abs().sum(-2).amax(-1).double().reshape(-1).tolist()
    products = 0
    for norm in norms:
        products += sum(norm > limit for limit in limits[:-1])
        if limits[-1] < norm < math.inf:
            products += math.ceil(math.log2(norm / limits[-1]))
    return 2 * products * int(a.shape[-1]) ** 3


# ---- quantised networks: their weights are packed ----------------------------------------------------------------


def packed_linear(x: Any, packed: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """[*, K] by a packed [N, K]."""
    return int(2 * out_val.numel() * x.shape[-1])


def packed_convolution(x: Any, packed: Any, *args: Any, out_val: Any = None, **kwargs: Any) -> int:
    """A packed [C_out, C_in / groups, ...]."""
    return int(2 * out_val.numel() * math.prod(packed.unpack()[0].shape[1:]))


def packed_transposed_convolution(x: Any, packed: Any, *args: Any, **kwargs: Any) -> int:
    """A packed [C_in, C_out / groups, ...]."""
    return int(2 * x.numel() * math.prod(packed.unpack()[0].shape[1:]))


_ATEN: dict[Formula, str] = {
    product: "mm bmm mv matmul _int_mm _sparse_mm hspmm _sparse_mm_reduce_impl",
    add_product: "addmm addmv baddbmm addbmm _addmm_activation _sparse_addmm sspaddmm",
    sparse_sparse: "_sparse_sparse_matmul",
    sampled_product: "sparse_sampled_addmm",
    dot: "dot vdot",
    outer_sum: "addr",
    out_times_inner: "linear _scaled_mm _scaled_mm_v2 _weight_int4pack_mm _weight_int4pack_mm_for_cpu "
    "_weight_int8pack_mm _weight_int4pack_mm_with_scales_and_zeros _dyn_quant_matmul_4bit _mixed_dtypes_linear "
    "mkldnn_linear _cslt_sparse_mm _sparse_semi_structured_linear _sparse_semi_structured_mm",
    add_out_times_inner: "_sparse_semi_structured_addmm",
    grouped_product: "_grouped_mm _scaled_grouped_mm _scaled_grouped_mm_v2",
    linear_backward: "linear_backward mkldnn_linear_backward",
    linear_backward_input: "mkldnn_linear_backward_input",
    linear_backward_weights: "mkldnn_linear_backward_weights",
    matmul_backward: "matmul_backward",
    linear_combination: "_compute_linear_combination",
    attention: "_scaled_dot_product_flash_attention_for_cpu _scaled_dot_product_fused_attention_overrideable "
    "_scaled_dot_product_attention_math_for_mps",
    attention_backward: "_scaled_dot_product_flash_attention_for_cpu_backward "
    "_scaled_dot_product_fused_attention_overrideable_backward",
    triton_attention: "_triton_scaled_dot_attention",
    multi_head_attention: "_native_multi_head_attention _triton_multi_head_attention",
    encoder_layer: "_transformer_encoder_layer_fwd",
    layer_norm: "native_layer_norm native_group_norm native_batch_norm _native_batch_norm_legit "
    "_native_batch_norm_legit_functional _native_batch_norm_legit_no_training _batch_norm_with_update "
    "_batch_norm_with_update_functional _batch_norm_no_update cudnn_batch_norm miopen_batch_norm "
    "quantized_batch_norm",
    layer_norm_backward: "native_layer_norm_backward native_group_norm_backward native_batch_norm_backward "
    "batch_norm_backward cudnn_batch_norm_backward miopen_batch_norm_backward",
    rms_norm: "_fused_rms_norm",
    rms_norm_backward: "_fused_rms_norm_backward",
    nothing: "embedding",
    per_value(1): "embedding_dense_backward _embedding_bag_backward _embedding_bag_dense_backward",
    per_value(2): "_embedding_bag_per_sample_weights_backward",
    embedding_bag: "_embedding_bag _embedding_bag_forward_only",
    distances: "_cdist_forward _euclidean_dist",
    pair_distances: "_pdist_forward",
    distances_backward: "_cdist_backward _pdist_backward",
    taps(2): "upsample_linear1d",
    taps(2, 0): "upsample_linear1d_backward",
    taps(4): "upsample_bilinear2d",
    taps(4, 0): "upsample_bilinear2d_backward",
    taps(8): "upsample_trilinear3d",
    taps(8, 0): "upsample_trilinear3d_backward",
    taps(16): "upsample_bicubic2d",
    taps(16, 0): "upsample_bicubic2d_backward",
    grid_sample: "grid_sampler_2d grid_sampler_3d _grid_sampler_2d_cpu_fallback cudnn_grid_sampler",
    grid_sample_backward: "grid_sampler_2d_backward grid_sampler_3d_backward _grid_sampler_2d_cpu_fallback_backward",
    convolution: "convolution _convolution convolution_overrideable",
    convolution_backward: "convolution_backward convolution_backward_overrideable",
    plain_convolution: "cudnn_convolution cudnn_convolution_relu cudnn_convolution_add_relu miopen_convolution "
    "miopen_convolution_relu miopen_convolution_add_relu miopen_depthwise_convolution mkldnn_convolution "
    "_nnpack_spatial_convolution _mps_convolution _slow_conv2d_forward slow_conv3d_forward slow_conv_dilated2d "
    "slow_conv_dilated3d _conv_depthwise2d conv_depthwise3d",
    plain_convolution_backward: "_slow_conv2d_backward",
    transposed_convolution: "cudnn_convolution_transpose miopen_convolution_transpose _mps_convolution_transpose "
    "slow_conv_transpose2d slow_conv_transpose3d",
    transposed_convolution_backward: "mps_convolution_backward mps_convolution_transpose_backward",
    convolution_tbc: "conv_tbc",
    rnn_layer: "mkldnn_rnn_layer",
    rnn_layer_backward: "mkldnn_rnn_layer_backward",
    rnn: "_cudnn_rnn miopen_rnn",
    rnn_backward: "_cudnn_rnn_backward miopen_rnn_backward",
    fourier: "_fft_c2c",
    real_fourier: "_fft_r2c",
    inverse_real_fourier: "_fft_c2r",
    factor(_lu): "linalg_lu linalg_lu_factor_ex _linalg_det _linalg_slogdet",
    factor(_qr): "geqrf",
    factor(lambda M, N: N**3 / 3): "cholesky linalg_cholesky_ex linalg_ldl_factor_ex",
    factor(lambda M, N: 2 * N**3 / 3): "cholesky_inverse",
    factor(lambda M, N: 2 * N**3): "linalg_inv_ex",
    factor(lambda M, N: 25 * N**3): "linalg_eig",
    factor(lambda M, N: 10 * N**3): "_linalg_eigvals linalg_eigvals",
    solve: "_linalg_solve_ex",
    two_triangular: "cholesky_solve _cholesky_solve_helper",
    factored_solve: "linalg_ldl_solve linalg_lu_solve",
    triangular_solve: "triangular_solve",
    solve_triangular: "linalg_solve_triangular",
    least_squares: "linalg_lstsq",
    qr: "linalg_qr",
    householder_product: "linalg_householder_product",
    multiply_by_q: "ormqr",
    eigh: "_linalg_eigh",
    svd: "_linalg_svd",
    matrix_exponential: "linalg_matrix_exp",
}
_OTHERS: dict[Formula, str] = {
    packed_linear: "quantized::linear quantized::linear_relu quantized::linear_dynamic quantized::linear_relu_dynamic "
    "quantized::linear_dynamic_fp16 quantized::linear_relu_dynamic_fp16 _quantized::linear _quantized::linear_dynamic "
    "onednn::linear_dynamic_fp16 onednn::linear_relu_dynamic_fp16 onednn::qlinear_pointwise mkl::_mkl_linear "
    "mkldnn::_linear_pointwise quantized::linear_leaky_relu quantized::linear_tanh "
    "quantized::linear_with_input_q_dq_qweight_dq_output_fp32 "
    "quantized::linear_with_input_q_dq_qweight_dq_relu_output_fp32 sparse::qlinear sparse::qlinear_dynamic "
    "sparse::qlinear_relu sparse::qlinear_relu_dynamic",
    product: "quantized::matmul",
    packed_convolution: "quantized::conv1d quantized::conv1d_relu quantized::conv1d_dynamic quantized::conv2d "
    "quantized::conv2d_relu quantized::conv2d_dynamic quantized::conv2d_add quantized::conv2d_add_relu "
    "quantized::conv3d quantized::conv3d_relu quantized::conv3d_dynamic _quantized::conv2d _quantized::conv2d_relu "
    "_quantized::conv3d _quantized::conv3d_relu",
    packed_transposed_convolution: "quantized::conv_transpose1d quantized::conv_transpose1d_dynamic "
    "quantized::conv_transpose2d quantized::conv_transpose2d_dynamic quantized::conv_transpose3d "
    "quantized::conv_transpose3d_dynamic _quantized::conv_transpose1d _quantized::conv_transpose2d",
    plain_convolution: "mkldnn::_convolution_pointwise",
    transposed_convolution: "mkldnn::_convolution_transpose_pointwise",
}


@functools.cache
def table() -> dict[str, Formula]:
    """Return the formulas by the operators' names, such as ``aten::mm``."""
    found = {f"aten::{name}": formula for formula, names in _ATEN.items() for name in names.split()}
    return found | {name: formula for formula, names in _OTHERS.items() for name in names.split()}
