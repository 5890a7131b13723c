# SPDX-License-Identifier: GPL-2.0-only
"""PyTorch's operators that need no FLOP formula, and why.

They do at most a few operations for each value that they read or write, so their memory traffic decides how long they
take. If an operator is not here, PyTorch does not mark it as element-wise or a view, and it has no formula, the user is
told when it is used. ``x_``, ``_foreach_x`` and ``x_copy`` are `x`.
"""

from __future__ import annotations

import functools
from typing import Any


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


NAMESPACES = {
    "c10d": "moves data between processes",
    "_c10d_functional": "moves data between processes",
    "_c10d_functional_autograd": "moves data between processes",
    "_dtensor": "moves data between processes",
    "symm_mem": "moves data between processes",
    "debug_mode_ops": "a mark in the program",
    "debugprims": "reads a file",
    "export": "looks at a tensor's parts",
    "inductor_prims": "random numbers",
    "prim": "looks at a tensor",
    "profiler": "a mark in the program",
    "rngprims": "random numbers",
    "fsdp": "moves data between processes",
    "onnx": "looks at a tensor, or a view",
    "quantization": "changes a format",
    "static_runtime": "copies, and does a few operations per value",
}

REASONS = {
    "makes a tensor, with one write per value": """
        arange bartlett_window blackman_window complex copy_sparse_to_sparse empty empty_like empty_permuted
        empty_quantized empty_strided _efficientzerotensor _empty_affine_quantized _empty_per_channel_affine_quantized
        eye fft_fftfreq fft_rfftfreq fill from_file full full_like hamming_window hann_window kaiser_window linspace
        logspace new_empty new_empty_strided new_full new_ones new_zeros _new_zeros_with_same_feature_meta ones
        ones_like polar range scalar_tensor sparse_compressed_tensor sparse_coo_tensor tril_indices triu_indices
        _sparse_compressed_tensor_with_dims _sparse_coo_tensor_with_dims _sparse_coo_tensor_with_dims_and_tensors
        zero zeros zeros_like _make_dep_token""",
    "random numbers, a fixed number of operations each": """
        bernoulli binomial cauchy exponential geometric log_normal multinomial normal normal_functional poisson rand
        rand_like randint randint_like randn randn_like random randperm uniform _sample_dirichlet _standard_gamma
        _standard_gamma_grad _dirichlet_grad _philox_key_fold_in _philox_key_split _philox_normal _philox_uniform
        _fill_mem_eff_dropout_mask _cudnn_init_dropout_state native_dropout _fused_dropout""",
    "copies, joins, cuts or reorders values": """
        alias as_strided as_strided_scatter block_diag cat _chunk_cat channel_shuffle col2im col_indices ccol_indices
        constant_pad_nd copy _copy_from _copy_from_and_resize crow_indices detach diag_embed diagonal
        diagonal_backward diagonal_scatter expand _fw_primal flip im2col indices _indices int_repr _lazy_clone lift
        lift_fresh _make_dual mkldnn_reorder_conv2d_weight mkldnn_reorder_conv3d_weight _mkldnn_reshape
        _mkldnn_transpose narrow _neg_view _conj _nested_get_values _nested_view_from_buffer _nested_view_from_jagged
        _pack_padded_sequence _padded_dense_to_jagged_forward _jagged_to_padded_dense_forward permute _pin_memory
        pixel_shuffle pixel_unshuffle reflection_pad1d reflection_pad1d_backward reflection_pad2d
        reflection_pad2d_backward reflection_pad3d reflection_pad3d_backward repeat repeat_interleave
        replication_pad1d replication_pad1d_backward replication_pad2d replication_pad2d_backward replication_pad3d
        replication_pad3d_backward _reshape _reshape_alias resize resize_as resize_as_sparse _resize_output roll rot90
        row_indices select select_backward select_scatter set slice slice_backward slice_scatter _sparse_broadcast_to
        split split_with_sizes squeeze stack _stack t _to to_mkldnn to_padded_tensor transpose tril triu unbind unfold
        unfold_backward unsafe_split unsafe_split_with_sizes _unsafe_view unsqueeze values _values view view_as_complex
        view_as_real _cudnn_rnn_flatten_weight _nested_from_padded _nested_from_padded_and_nested_example
        _nested_from_padded_tensor _nested_select_backward _nested_tensor_from_mask _nested_tensor_from_tensor_list
        _spdiags _dimI _dimV _convert_indices_from_coo_to_csr _convert_indices_from_csr_to_coo lu_unpack
        affine_grid_generator cudnn_affine_grid_generator cudnn_affine_grid_generator_backward""",
    "looks values up, puts them into places, or picks them": """
        embedding_renorm gather index index_add index_copy index_fill index_put _index_put_impl index_reduce
        index_select masked_fill masked_scatter masked_scatter_backward masked_select nonzero nonzero_static put
        scatter scatter_add scatter_reduce take _unsafe_index _unsafe_index_put _unsafe_masked_index
        _unsafe_masked_index_put_accumulate where""",
    "sorts, searches or counts: comparisons": """
        argmax argmin bincount bucketize count_nonzero cummax cummin _cummax_helper _cummin_helper histc histogram
        _histogramdd_bin_edges _histogramdd_from_bin_cts _histogramdd_from_bin_tensors isin kthvalue median mode
        nanmedian searchsorted sort topk _unique _unique2 unique_consecutive unique_dim unique_dim_consecutive
        hash_tensor _coalesce _coalesced is_coalesced _nnz dense_dim sparse_dim sparse_resize
        sparse_resize_and_clear""",
    "a reduction or a scan, with one or two operations per value": """
        all allclose amax amin aminmax _aminmax any cumprod cumsum dist _is_all_true _is_any_true linalg_cross
        linalg__powsum linalg_vector_norm logcumsumexp _logcumsumexp logsumexp max min mean nansum native_norm norm
        powsum prod renorm segment_reduce _segment_reduce_backward std std_mean sum trace var var_mean
        _nested_sum_backward _sparse_csr_prod _sparse_csr_sum _sparse_sum _sparse_sum_backward""",
    "element-wise, with a few operations per value": """
        __irshift__ __ilshift__ __irshift __ilshift abs _add_relu angle binary_cross_entropy
        binary_cross_entropy_backward binary_cross_entropy_with_logits copysign dequantize elu_backward eq
        fake_quantize_per_channel_affine_cachemask fake_quantize_per_tensor_affine_cachemask
        _fake_quantize_learnable_per_channel_affine _fake_quantize_learnable_per_channel_affine_backward
        _fake_quantize_learnable_per_tensor_affine _fake_quantize_learnable_per_tensor_affine_backward
        _fake_quantize_per_tensor_affine_cachemask_tensor_qparams _fused_moving_avg_obs_fq_helper
        _fused_moving_avg_obs_fq_helper_functional floor_divide gcd ge gelu glu glu_backward glu_backward_jvp glu_jvp
        gt hardshrink_backward hardsigmoid_backward hardswish hardswish_backward hardtanh_backward heaviside
        huber_loss huber_loss_backward lcm le leaky_relu_backward log_sigmoid_backward log_sigmoid_forward lt
        _make_per_channel_quantized_tensor _make_per_tensor_quantized_tensor _masked_scale mish mse_loss
        mse_loss_backward multi_margin_loss multi_margin_loss_backward multilabel_margin_loss_backward
        multilabel_margin_loss_forward ne nll_loss2d_backward nll_loss2d_forward nll_loss_backward nll_loss_forward
        _prelu_kernel _prelu_kernel_backward quantize_per_channel quantize_per_tensor quantize_per_tensor_dynamic
        rrelu_with_noise rrelu_with_noise_backward rrelu_with_noise_functional smooth_l1_loss smooth_l1_loss_backward
        soft_margin_loss soft_margin_loss_backward softplus_backward softshrink_backward threshold
        _thnn_fused_gru_cell _thnn_fused_gru_cell_backward _thnn_fused_lstm_cell _thnn_fused_lstm_cell_backward_impl
        _transform_bias_rescale_qkv _amp_foreach_non_finite_check_and_unscale _amp_update_scale non_finite_check""",
    "an optimiser's step, with a few operations per weight": "_fused_adagrad _fused_adam _fused_adamw _fused_sgd",
    "softmax and similar, with a few operations per value": """
        _log_softmax _log_softmax_backward_data _masked_softmax _masked_softmax_backward
        _nested_tensor_softmax_with_shape _safe_softmax _softmax _softmax_backward_data _sparse_log_softmax
        _sparse_log_softmax_backward_data _sparse_softmax _sparse_softmax_backward_data _weight_norm_interface
        _weight_norm_interface_backward batch_norm_backward_elemt batch_norm_backward_reduce batch_norm_elemt
        batch_norm_gather_stats batch_norm_gather_stats_with_counts batch_norm_stats batch_norm_update_stats
        _ctc_loss _ctc_loss_backward _cudnn_ctc_loss miopen_ctc_loss""",
    "pooling: additions or comparisons only": """
        _adaptive_avg_pool2d _adaptive_avg_pool2d_backward _adaptive_avg_pool3d _adaptive_avg_pool3d_backward
        adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_avg_pool3d_backward
        avg_pool1d adaptive_max_pool2d adaptive_max_pool2d_backward adaptive_max_pool3d
        adaptive_max_pool3d_backward avg_pool2d avg_pool2d_backward avg_pool3d avg_pool3d_backward
        fractional_max_pool2d fractional_max_pool2d_backward fractional_max_pool3d fractional_max_pool3d_backward
        max_pool2d_backward max_pool2d_with_indices max_pool2d_with_indices_backward max_pool3d_with_indices
        max_pool3d_with_indices_backward max_unpool2d max_unpool3d mkldnn_adaptive_avg_pool2d
        mkldnn_adaptive_avg_pool2d_backward mkldnn_max_pool2d mkldnn_max_pool2d_backward mkldnn_max_pool3d
        mkldnn_max_pool3d_backward quantized_max_pool1d quantized_max_pool2d quantized_max_pool3d""",
    "interpolation with a bounded number of products for each value read or written": """
        _upsample_bicubic2d_aa _upsample_bicubic2d_aa_backward _upsample_bilinear2d_aa _upsample_bilinear2d_aa_backward
        _upsample_lanczos2d_aa _upsample_lanczos2d_aa_backward _upsample_nearest_exact1d
        _upsample_nearest_exact1d_backward _upsample_nearest_exact2d _upsample_nearest_exact2d_backward
        _upsample_nearest_exact3d _upsample_nearest_exact3d_backward upsample_nearest1d upsample_nearest1d_backward
        upsample_nearest2d upsample_nearest2d_backward upsample_nearest3d upsample_nearest3d_backward""",
    "between dense, sparse and packed formats": """
        _convert_weight_to_int4pack _convert_weight_to_int4pack_for_cpu _cslt_compress _dyn_quant_pack_4bit_weight
        _sparse_mask_projection _sparse_semi_structured_apply _sparse_semi_structured_apply_dense
        _sparse_semi_structured_tile sparse_mask _to_dense _to_sparse _to_sparse_bsc _to_sparse_bsr _to_sparse_csc
        _to_sparse_csr _to_sparse_semi_structured _cslt_sparse_mm_search _validate_compressed_sparse_indices""",
    "looks at a tensor, or checks it": """
        _assert_async _assert_tensor_metadata _functional_assert_async _functional_assert_scalar
        _functional_sym_constrain_range _functional_sym_constrain_range_for_size _fused_sdp_choice
        _has_same_storage_numel is_pinned is_same_size is_set_to _linalg_check_errors _local_scalar_dense
        _nested_compute_contiguous_strides_offsets _nested_get_jagged_dummy _nested_get_lengths
        _nested_get_max_seqlen _nested_get_min_seqlen _nested_get_offsets _nested_get_ragged_idx
        _nested_tensor_from_mask_left_aligned _nested_tensor_size _nested_tensor_storage_offsets
        _nested_tensor_strides q_per_channel_axis q_per_channel_scales q_per_channel_zero_points q_scale q_zero_point
        qscheme record_stream _use_cudnn_ctc_loss _use_miopen_ctc_loss equal""",
    "PyTorch's own tests": """
        _foobar _test_autograd_multiple_dispatch _test_autograd_multiple_dispatch_view _test_functorch_fallback
        _test_optional_filled_intlist _test_optional_floatlist _test_optional_intlist _test_parallel_materialize
        _test_warn_in_autograd""",
}

WRITE_ONLY = _words("""
    arange bartlett_window blackman_window eye full full_like hamming_window hann_window kaiser_window linspace logspace
    new_full new_ones new_zeros ones ones_like range scalar_tensor tril_indices triu_indices zeros zeros_like rand
    rand_like randint randint_like randn randn_like randperm""")
"""They do not read their arguments."""

UNTOUCHED = _words("""
    empty empty_like empty_permuted empty_strided new_empty new_empty_strided resize_ resize_as_ set_
    _efficientzerotensor is_pinned is_same_size record_stream""")
"""They neither read nor write values."""

LOOK_UPS = _words("embedding index_select gather index")
"""They read as much of their first argument as they return."""

PACKED = _words("quantized _quantized onednn mkldnn mkldnn_prepacked mkl sparse inductor")
"""Namespaces whose operators are light unless their name says that they multiply and does not end as below."""
MULTIPLIES = ("linear", "conv", "matmul", "mm", "gru", "lstm", "rnn")
PACKING = ("_prepack", "_unpack", "_fp16", "_legacy", "_unpack_sizes", "_weight", "_packed_weight_cpu")


@functools.cache
def names() -> frozenset[str]:
    """Return all names of `REASONS`."""
    return frozenset(name for text in REASONS.values() for name in text.split())


def plain_name(packet: str) -> str:
    """Return the operator of which ``x_``, ``_foreach_x`` and ``x_copy`` are variants."""
    name = packet.removeprefix("_foreach_")
    if not name.endswith("__"):
        name = name.rstrip("_")
    return name.removesuffix("_copy")


def is_light(operator: Any) -> bool:
    """Return whether an operator (an OpOverload) needs no formula."""
    import torch

    namespace, _, packet = operator._schema.name.partition("::")
    if namespace in NAMESPACES or operator.is_view or torch.Tag.pointwise in operator.tags:
        return True
    if namespace == "prims":
        return packet not in ("svd", "fft_c2c", "fft_c2r", "fft_r2c")
    if namespace in PACKED:
        return packet.endswith(PACKING) or not any(word in packet for word in MULTIPLIES)
    if namespace != "aten":
        return False
    return plain_name(packet) in names() or _is_element_wise(plain_name(packet))


@functools.cache
def _is_element_wise(name: str) -> bool:
    """Return whether PyTorch marks an operator of this name as element-wise (not all variants are marked)."""
    import torch

    packet = getattr(torch.ops.aten, name, None)
    return packet is not None and any(
        torch.Tag.pointwise in getattr(packet, overload).tags for overload in packet.overloads()
    )
