# SPDX-License-Identifier: GPL-2.0-only
"""FLOP formulas against sums by hand, PyTorch's own decompositions and its operators; optimisers' first steps."""

import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from cosim_runs import run
from torch import nn

from edgelam.cosim import Work, count, flop_formulas, light_operators
from edgelam.cosim.work import _told

C64 = torch.complex64
x34, x45, x4, x5 = torch.ones(3, 4), torch.ones(4, 5), torch.ones(4), torch.ones(5)
SPARSE = torch.tensor([[1.0, 0, 2, 0], [0, 0, 0, 0], [0, 3, 0, 0]])  # [3, 4], 3 values
spd = 2 * torch.eye(6, dtype=torch.float64)
tall = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("function", "flops"),
    [
        (lambda: x34 @ x45, 2 * 3 * 4 * 5),
        (lambda: x34 @ x4, 2 * 3 * 4),
        (lambda: x34.mv(x4), 2 * 3 * 4),
        (lambda: x4 @ x45, 2 * 4 * 5),
        (lambda: x4 @ x4, 2 * 4),
        (lambda: torch.vdot(x4, x4), 2 * 4),
        (lambda: torch.inner(x34, x34), 2 * 3 * 3 * 4),
        (lambda: torch.ones(3).addmv(x34, x4), 2 * 3 * 4),
        (lambda: torch.ones(3).addmv_(x34, x4), 2 * 3 * 4),
        (lambda: torch.ones(3, 5).addmm_(x34, x45), 2 * 3 * 4 * 5),
        (lambda: torch.ones(4, 5).addr(x4, x5), 2 * 4 * 5),
        (lambda: torch.ones(3, 5).addbmm(x34.expand(7, 3, 4), x45.expand(7, 4, 5)), 7 * 2 * 3 * 4 * 5),
        (lambda: torch.ones(7, 3, 5).baddbmm(x34.expand(7, 3, 4), x45.expand(7, 4, 5)), 7 * 2 * 3 * 4 * 5),
        (lambda: torch.mm(x34, x45, out=torch.empty(3, 5)), 2 * 3 * 4 * 5),
        (lambda: torch.linalg.multi_dot([x34, x45, x5]), 2 * 4 * 5 + 2 * 3 * 4),
        (lambda: torch.einsum("ij,jk->ik", x34, x45), 2 * 3 * 4 * 5),
        (lambda: torch.einsum("bij,jk,bk->bi", x34.expand(2, 3, 4), x45, torch.ones(2, 5)),
         2 * 2 * 3 * 4 * 5 + 2 * 2 * 3 * 5),
        (lambda: torch.tensordot(x34, x45, 1), 2 * 3 * 4 * 5),
        (lambda: F.bilinear(torch.ones(2, 4), torch.ones(2, 5), torch.ones(3, 4, 5)),
         2 * 2 * 3 * 4 * 5 + 2 * 2 * 3 * 5),
        (lambda: torch.cdist(x34, torch.ones(7, 4), p=1.0), 3 * 3 * 7 * 4),
        # complex: 4 multiplications and 4 additions a pair
        (lambda: x34.to(C64) @ x45.to(C64), 8 * 3 * 4 * 5),
        (lambda: x34.to(C64) @ x4.to(C64), 8 * 3 * 4),
        (lambda: torch.vdot(x4.to(C64), x4.to(C64)), 8 * 4),
        (lambda: torch.einsum("ij,kj->ik", x34.to(C64), x34.to(C64)), 8 * 3 * 3 * 4),
        # sparse: only what is stored
        (lambda: SPARSE.to_sparse() @ x45, 2 * 3 * 5),
        (lambda: torch.sparse.mm(SPARSE.to_sparse(), x45), 2 * 3 * 5),
        (lambda: SPARSE.to_sparse() @ x4, 2 * 3),
        (lambda: SPARSE.to_sparse_csr() @ x45, 2 * 3 * 5),
        (lambda: SPARSE.to_sparse_csr() @ x4, 2 * 3),
        (lambda: torch.sparse.addmm(torch.ones(3, 5), SPARSE.to_sparse(), x45), 2 * 3 * 5),
        # column 0, 1, 2 of the one have 1, 1, 1 values; rows 0, 1, 2, 3 of the other 1, 0, 1, 0
        (lambda: torch.sparse.mm(SPARSE.to_sparse(), SPARSE.T.to_sparse()), 2 * 3),
        # convolutions
        (lambda: F.conv2d(torch.ones(2, 4, 9, 9), torch.ones(8, 4, 3, 3)), 2 * 2 * 8 * 49 * 4 * 9),
        (lambda: F.conv2d(torch.ones(2, 4, 9, 9), torch.ones(8, 1, 3, 3), groups=4), 2 * 2 * 8 * 49 * 9),
        (lambda: F.conv1d(torch.ones(4, 9), torch.ones(8, 4, 3)), 2 * 8 * 7 * 4 * 3),
        (lambda: F.conv_transpose2d(torch.ones(2, 4, 5, 5), torch.ones(4, 3, 2, 2), stride=2), 2 * 2 * 4 * 25 * 3 * 4),
        (lambda: torch.conv_tbc(torch.ones(9, 2, 4), torch.ones(3, 4, 8), x5.new_zeros(8)), 2 * 7 * 2 * 8 * 3 * 4),
        # Fourier transforms
        (lambda: torch.fft.fft(torch.ones(3, 8, dtype=C64)), 3 * 5 * 8 * 3),
        (lambda: torch.fft.rfft(torch.ones(3, 8)), 3 * 5 * 8 * 3 // 2),
        (lambda: torch.fft.irfft(torch.ones(3, 5, dtype=C64)), 3 * 5 * 8 * 3 // 2),
        (lambda: torch.fft.fft2(torch.ones(4, 8, dtype=C64)), 5 * 32 * 5),
        # dense linear algebra, leading terms
        (lambda: torch.linalg.solve(spd, torch.ones(6, 2, dtype=torch.float64)), round(2 / 3 * 6**3) + 2 * 2 * 36),
        (lambda: torch.linalg.solve(spd, torch.ones(6, dtype=torch.float64)), round(2 / 3 * 6**3) + 2 * 36),
        (lambda: torch.linalg.inv(spd), 2 * 6**3),
        (lambda: torch.linalg.cholesky(spd.expand(5, 6, 6)), 5 * 6**3 // 3),
        (lambda: torch.cholesky_solve(torch.ones(6, 2, dtype=torch.float64), spd), 2 * 2 * 36),
        (lambda: torch.linalg.solve_triangular(spd, spd, upper=True), 6 * 36),
        (lambda: torch.linalg.det(spd), round(2 / 3 * 6**3)),
        (lambda: torch.linalg.qr(tall, mode="r"), 2 * 9 * (8 - 1)),
        (lambda: torch.linalg.qr(tall), 2 * 9 * (8 - 1) + 4 * 8 * 9 - 2 * 11 * 9 + 36),
        (lambda: torch.ops.aten._linalg_svd(tall, False, False), 4 * 8 * 9 - 36),
        (lambda: torch.linalg.svd(tall, full_matrices=False), 14 * 8 * 9 + 8 * 27),
        (lambda: torch.ops.aten._linalg_eigh(spd, "L", False), 4 * 6**3 // 3),
        (lambda: torch.linalg.eigh(spd), 9 * 6**3),
        (lambda: torch.linalg.matrix_power(spd, 3), 2 * 2 * 6**3),
        (lambda: torch.linalg.matrix_exp(spd), 2 * 6 * 6**3),  # norm 2: degree 18 by 5 products, 1 squaring
        (lambda: torch.linalg.matrix_exp(spd.to(torch.complex128) / 1e3), 4 * 2 * 3 * 6**3),  # norm 0.002: degree 8
        # interpolation
        (lambda: F.interpolate(torch.ones(1, 2, 4, 4), scale_factor=2, mode="bilinear"), 2 * 4 * 2 * 64),
        (lambda: F.grid_sample(torch.ones(1, 3, 4, 4), torch.zeros(1, 5, 5, 2), align_corners=False), 2 * 4 * 3 * 25),
        (lambda: F.embedding_bag(torch.zeros(2, 5, dtype=torch.long), torch.ones(9, 4)), 10 * 4),
    ],
)  # fmt: skip
@pytest.mark.parametrize("inference", [False, True])
def test_by_hand(function, flops, inference):
    with warnings.catch_warnings(), torch.inference_mode(inference):
        warnings.simplefilter("ignore")  # of sparse tensors, that they are in beta
        assert count(function).flops == flops


@pytest.mark.parametrize(
    ("function", "forward"),
    [
        (lambda x: x @ x4, 2 * 3 * 4),
        (lambda x: x @ x45, 2 * 3 * 4 * 5),
        (lambda x: torch.einsum("ij,j->i", x, x4), 2 * 3 * 4),
        (lambda x: F.conv1d(x[None], torch.ones(2, 3, 2)), 2 * 2 * 3 * 3 * 2),
    ],
)
def test_gradient_of_the_input_alone_costs_as_much_as_forward(function, forward):
    x = torch.ones(3, 4, requires_grad=True)
    out = function(x)
    assert count(lambda: out.sum().backward()).flops in (forward, 0 if out.dim() == 1 else forward)
    assert count(lambda: function(x)).flops == forward


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("transposed", [False, True])
def test_backward_of_a_convolution_is_twice_its_forward(groups, transposed):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    layer, x = kind(4, 8, 3, groups=groups, bias=False), torch.ones(2, 4, 9, 9, requires_grad=True)
    forward = count(layer, x).flops
    assert forward == 2 * 2 * 8 * 4 // groups * 9 * (81 if transposed else 49)
    y = layer(x)
    assert count(y.sum().backward).flops == 2 * forward


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_fast_path_of_an_encoder_layer_counts_as_the_layer_does_in_training(norm_first, activation):
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True, norm_first=norm_first, activation=activation)
    x = torch.randn(2, 6, 16)
    training = count(layer, x).flops
    tokens = 2 * 6
    assert training == 2 * tokens * (4 * 16 * 16 + 2 * 16 * 32) + 2 * 2 * 2 * 6 * 6 * 16 + 2 * 8 * tokens * 16
    layer.eval()
    with torch.no_grad():
        assert count(layer, x).flops == training
    with torch.inference_mode():
        assert count(layer, x).flops == training
    assert count(layer, x).flops == training  # eval with gradients: no fast path


@pytest.mark.parametrize("need_weights", [False, True])
def test_fast_path_of_multi_head_attention(need_weights):
    layer, x = nn.MultiheadAttention(16, 4, batch_first=True), torch.randn(2, 6, 16)
    training = count(lambda: layer(x, x, x, need_weights=need_weights)).flops
    layer.eval()
    with torch.no_grad():
        assert count(lambda: layer(x, x, x, need_weights=need_weights)).flops == training
    assert training == 2 * 12 * 4 * 16 * 16 + 2 * 2 * 2 * 6 * 6 * 16


def test_padded_encoder_counts_tokens_without_padding():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 4, 32, batch_first=True), 2).eval()
    padding = torch.zeros(2, 6, dtype=torch.bool)
    padding[1, 2:] = True
    x = torch.randn(2, 6, 16)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nested tensors are a prototype
        work = count(lambda: encoder(x, src_key_padding_mask=padding))
    tokens = 6 + 2  # attention is over 6 by 6 in PyTorch too
    layer = 2 * tokens * (4 * 16 * 16 + 2 * 16 * 32) + 2 * 2 * 2 * 6 * 6 * 16 + 2 * 8 * tokens * 16
    assert work.flops == 2 * layer


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
@pytest.mark.parametrize("grad", [False, True])
def test_recurrent_networks(kind, gates, grad):
    net, x = kind(3, 5, num_layers=2, bidirectional=True), torch.randn(7, 2, 3)
    forward = 2 * 7 * 2 * gates * 5 * (2 * (3 + 5) + 2 * (10 + 5))
    with torch.set_grad_enabled(grad):
        assert count(net, x).flops == forward
    if grad:
        out = net(x)[0]
        backward = count(out.sum().backward).flops
        # neither the input nor the first state needs a gradient; some kernels make it all the same
        spared = 2 * 7 * 2 * gates * 5 * 2 * 3 + 2 * 2 * gates * 5 * 5 * 4
        assert 2 * forward - spared <= backward <= 2 * forward


def test_complex_convolution_is_three_real_ones():  # as PyTorch does it
    x, w = torch.ones(2, 3, 9, dtype=C64), torch.ones(4, 3, 2, dtype=C64)
    assert count(F.conv1d, x, w).flops == 3 * (2 * 2 * 4 * 8 * 3 * 2)


def test_quantised_linear_layer():
    net = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(64, 32)), {nn.Linear})
    with torch.no_grad():
        assert count(net, torch.zeros(8, 64)).flops == 2 * 8 * 64 * 32


def test_nested_tensors_of_ragged_batches():
    layer = nn.Linear(16, 8)
    ragged = torch.nested.nested_tensor([torch.ones(3, 16), torch.ones(5, 16)], layout=torch.jagged)
    assert count(layer, ragged).flops == 2 * 8 * 16 * 8


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_that_have_kernels_of_their_own():
    weight = torch.ones(5, 4, requires_grad=True)
    ragged = torch.nested.nested_tensor([torch.ones(2, 4), torch.ones(3, 4)], requires_grad=True)
    other = torch.nested.nested_tensor([torch.ones(4, 5), torch.ones(4, 6)], requires_grad=True)
    linear, products = 2 * 5 * 4 * 5, 2 * 2 * 4 * 5 + 2 * 3 * 4 * 6
    assert count(F.linear, ragged, weight).flops == linear
    assert count(F.linear, ragged, weight, torch.ones(5)).flops == linear
    assert count(torch.matmul, ragged, other).flops == products
    assert count(torch.bmm, ragged, other).flops == products
    for forward, function, second in ((linear, F.linear, weight), (products, torch.matmul, other)):
        padded = function(ragged, second).to_padded_tensor(0.0).sum()
        assert count(torch.autograd.grad, padded, [ragged, second]).flops == 2 * forward
    assert count(F.scaled_dot_product_attention, ragged, ragged, ragged).flops == 2 * 2 * (2 * 2 + 3 * 3) * 4


def test_compiled_functions_count_as_they_stand_and_run_compiled_again_afterwards():
    run_as = []

    def backend(graph, inputs):
        run_as.append("compiled")
        return graph.forward

    function = torch.compile(lambda a, b: a @ b, fullgraph=True, backend=backend)
    assert count(function, x34, x45).flops == 2 * 3 * 4 * 5
    assert not run_as
    assert torch.equal(function(x34, x45), x34 @ x45)
    assert run_as == ["compiled"]
    assert count(function, x34, x45).flops == 2 * 3 * 4 * 5


@pytest.mark.filterwarnings("ignore")  # that it wants to be compiled
def test_flexible_attention_counts_as_attention():
    from torch.nn.attention.flex_attention import flex_attention

    q = torch.ones(1, 2, 128, 16)
    assert count(flex_attention, q, q, q).flops == 2 * 2 * 2 * 128 * 128 * 16


def test_local_part_of_a_distributed_tensor():
    from torch.distributed import destroy_process_group, init_process_group
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor
    from torch.testing._internal.distributed.fake_pg import FakeStore

    init_process_group("fake", store=FakeStore(), rank=0, world_size=4)
    try:
        mesh = init_device_mesh("cpu", (4,))
        a = distribute_tensor(torch.ones(8, 16), mesh, [Shard(0)])
        b = distribute_tensor(torch.ones(16, 32), mesh, [Replicate()])
        work = count(lambda: a @ b)
    finally:
        destroy_process_group()
    assert work == Work(2 * (8 // 4) * 16 * 32, 4 * (2 * 16 + 16 * 32 + 2 * 32))


def test_control_flow_counts_the_branch_taken():
    x = torch.ones(4, 4)
    for taken, flops in ((True, 2 * 64), (False, 2 * 2 * 64)):
        work = count(lambda t=taken: torch.cond(torch.tensor(t), lambda x: x @ x, lambda x: x @ x @ x, (x,)))
        assert work.flops == flops


@pytest.mark.parametrize("make", [torch.empty_like, torch.zeros_like, torch.ones_like, torch.rand_like])
def test_making_a_tensor_like_another_does_not_read_that(make):
    x = torch.ones(100)
    assert count(make, x) == Work(0, 0 if make is torch.empty_like else 400)
    assert count(x.new_empty, 1000) == Work(0, 0)
    assert count(x.new_zeros, 1000) == Work(0, 4000)
    assert count(torch.full_like, x, 3.0) == Work(0, 400)
    assert count(torch.empty, 100) == Work(0, 0)
    assert count(torch.zeros, 100) == Work(0, 400)


def test_sparse_traffic_is_what_is_stored():
    s = torch.eye(1000).to_sparse()
    work = count(torch.sparse.mm, s, torch.ones(1000, 1))
    assert work.flops == 2 * 1000
    assert work.bytes < 100_000  # not 4 MB


# ---- operators without a formula -----------------------------------------------------------------------------------


def test_unknown_operator_is_told_once_and_can_be_given_a_formula():
    library = torch.library.Library("edgelam_test", "FRAGMENT")
    library.define("cube(Tensor x) -> Tensor")
    library.impl("cube", lambda x: x @ x @ x, "CPU")
    cube, x = torch.ops.edgelam_test.cube, torch.ones(4, 4)
    with pytest.warns(UserWarning, match="operator edgelam_test::cube is not known.*register_flop_formula"):
        assert count(cube, x) == Work(0, 2 * 64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert count(cube, x).flops == 0

        @torch.utils.flop_counter.register_flop_formula(cube)
        def cube_flops(shape, out_shape=None, **kwargs):
            return 2 * 2 * shape[0] ** 3

        assert count(cube, x).flops == 2 * 2 * 64
    del torch.utils.flop_counter.flop_registry[cube]
    _told.discard("edgelam_test::cube")


# Operators that multiply and have no formula: each is told when it is met.
TOLD = {
    "no kernel in any build that runs here, of CUDA or MPS": """
        aten::_cudnn_attention_backward aten::_cudnn_attention_forward aten::_flash_attention_forward_no_dropout_inplace
        aten::_lstm_mps aten::lstm_mps_backward aten::cudnn_grid_sampler_backward _native::_foreach_mm_native_0""",
    "how many products depends on the fill-in of a factor": "aten::_spsolve",
    "a gradient of two sparse reductions with masks": "aten::_sparse_mm_reduce_impl_backward",
    "weights are in a packed object that shows no shape": """
        aten::quantized_gru aten::quantized_lstm quantized::quantized_gru_cell_dynamic
        quantized::quantized_lstm_cell_dynamic quantized::quantized_rnn_relu_cell_dynamic
        quantized::quantized_rnn_tanh_cell_dynamic _quantized::_wrapped_quantized_linear_prepacked
        _quantized::wrapped_quantized_linear mkldnn_prepacked::conv2d_run""",
    "only in compiled graphs": """
        onednn::qconv1d_pointwise onednn::qconv2d_pointwise onednn::qconv3d_pointwise onednn::qconv_pointwise""",
}


def operators():
    """All operators of PyTorch's own that its dispatcher knows and that have tensors."""
    own = {"aten", "prims", "static_runtime", "_native", *light_operators.NAMESPACES, *light_operators.PACKED}
    for name in torch._C._dispatch_get_all_op_names():
        qualified, _, overload = name.partition(".")
        namespace, _, packet = qualified.partition("::")
        if namespace not in own:
            continue
        try:
            operator = getattr(getattr(getattr(torch.ops, namespace), packet), overload or "default")
        except (AttributeError, RuntimeError):  # of TorchScript only: cannot be called
            continue
        schema = operator._schema
        if any("Tensor" in str(item.type) for item in [*schema.arguments, *schema.returns]):
            yield qualified, operator


def test_every_operator_has_a_formula_or_a_reason():
    keys = torch._C.DispatchKey
    composite = (
        keys.CompositeImplicitAutograd,
        keys.CompositeExplicitAutograd,
        keys.CompositeExplicitAutogradNonFunctional,
    )
    registered = {str(packet).replace(".", "::") for packet in torch.utils.flop_counter.flop_registry}
    told = {name for names in TOLD.values() for name in names.split()}
    unknown, seen = set(), set()
    for name, operator in operators():
        seen.add(name)
        namespace, _, packet = name.partition("::")
        plain = f"{namespace}::{light_operators.plain_name(packet)}"
        known = name in flop_formulas.table() or plain in flop_formulas.table() or name in registered
        if not (
            known or light_operators.is_light(operator) or any(map(operator.has_kernel_for_dispatch_key, composite))
        ):
            unknown.add(name)
    assert unknown == told & seen, "see light_operators.py and flop_formulas.py: neither knows the difference"
    assert len(seen) > 1000
    both = {n.partition("::")[2] for n in flop_formulas.table() if n.startswith("aten::")} & light_operators.names()
    assert not both
    for name in (
        "mm",
        "_trilinear",
        "linalg_matrix_exp",
        "mkldnn_rnn_layer",
        "_fft_c2c",
        "_transformer_encoder_layer_fwd",
    ):
        assert not light_operators.is_light(getattr(torch.ops.aten, name).default)


# ---- an optimiser's first step -------------------------------------------------------------------------------------

OPTIMISERS = {
    "adamw fused": lambda p: torch.optim.AdamW(p, fused=True),
    "adamw foreach": lambda p: torch.optim.AdamW(p, foreach=True),
    "adam amsgrad": lambda p: torch.optim.Adam(p, amsgrad=True, foreach=False),
    "sgd": lambda p: torch.optim.SGD(p, 0.1),
    "sgd momentum": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, dampening=0.5),
    "rmsprop": lambda p: torch.optim.RMSprop(p, momentum=0.9),
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "nadam": torch.optim.NAdam,
}


@pytest.mark.parametrize("kind", OPTIMISERS)
def test_first_step_counts_as_a_later_one_and_learns_the_same(kind):
    def train(counted):
        torch.manual_seed(1)
        net = nn.Sequential(nn.Linear(8, 4), nn.Dropout(0.5), nn.Linear(4, 2))
        optimiser = OPTIMISERS[kind](net.parameters())
        scheduler = torch.optim.lr_scheduler.StepLR(optimiser, 2)
        works = []
        for _ in range(4):

            def step():
                optimiser.zero_grad()
                net(torch.ones(3, 8)).square().sum().backward()
                optimiser.step()

            if counted:
                works.append(count(step))
            else:
                step()
            scheduler.step()
        return works, [p.detach().clone() for p in net.parameters()], torch.rand(1)

    works, weights, chance = train(True)
    _, expected, expected_chance = train(False)
    assert works[0] == works[1] == works[3]
    assert all(map(torch.equal, weights, expected))
    assert torch.equal(chance, expected_chance)


def test_state_that_is_made_for_some_weights_later():
    net = nn.Linear(64, 64)
    optimiser = torch.optim.AdamW(net.parameters(), fused=True)

    def step(wanted):
        optimiser.zero_grad()
        net.weight.requires_grad_(wanted)
        net(torch.ones(1, 64)).sum().backward()
        optimiser.step()

    step(False)
    assert count(step, True) == count(step, True)
    optimiser.state.pop(net.weight)  # begin anew
    assert count(step, True) == count(step, True)


def trained_s(steps, warm=0, closure=False, kind="adamw fused", key="train"):
    """Simulated seconds of so many steps, after `warm` ones outside."""

    async def main(sim):
        torch.manual_seed(0)
        net, x = nn.Linear(300, 300), torch.randn(1, 300)
        optimiser = OPTIMISERS[kind](net.parameters())

        def loss():
            optimiser.zero_grad()
            loss = net(x).sum()
            loss.backward()
            return loss

        def step():
            if closure:
                optimiser.step(loss)
            else:
                loss()
                optimiser.step()

        for _ in range(warm):
            step()
        for _ in range(steps):
            async with sim.node("ue0").compute("train", key=key):
                step()
        return sim.now_ns

    return run(main)


@pytest.mark.parametrize("kind", ["adamw fused", "sgd momentum", "adagrad"])
@pytest.mark.parametrize("key", [None, "train"])
def test_training_takes_the_same_time_whole_in_slices_and_resumed(kind, key):
    whole = trained_s(6, kind=kind, key=key)
    assert whole == trained_s(6, warm=3, kind=kind, key=key)
    assert whole == trained_s(4, kind=kind, key=key) + trained_s(2, warm=4, kind=kind, key=key)


def test_first_step_with_a_closure_is_not_kept_for_the_others():
    first, later = trained_s(1, closure=True), trained_s(1, warm=1, closure=True)
    assert first > later
    assert trained_s(5, closure=True) == first + 4 * later


def test_closure_is_called_once():
    net = nn.Linear(4, 1)
    optimiser = torch.optim.Adam(net.parameters())
    calls = []

    def closure():
        calls.append(1)
        optimiser.zero_grad()
        loss = net(torch.ones(1, 4)).sum()
        loss.backward()
        return loss

    assert count(optimiser.step, closure).flops == 2 * 4 + 2 * 4
    assert len(calls) == 1


def test_lbfgs_and_home_made_optimisers_are_counted():
    class Odd(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})
            self.lock = __import__("threading").Lock()  # cannot be copied

        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                for p in group["params"]:
                    self.state[p].setdefault("seen", torch.zeros_like(p)).add_(p.grad)

    net = nn.Linear(4, 1, bias=False)
    net.weight.grad = torch.ones(1, 4)
    first, later = (count(Odd(net.parameters()).step) for _ in range(2))
    assert first == later == Work(0, 4 * 4 + 2 * 4 * 4)  # it stands as it was: zeros made, then added to
    assert math.isclose(net.weight.grad.sum(), 4)
