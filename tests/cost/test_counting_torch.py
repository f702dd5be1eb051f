import pytest

torch = pytest.importorskip("torch")

from headcheck.adapters.counting_torch import count  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.nn.functional import scaled_dot_product_attention  # noqa: E402

from .hand import by_hand  # noqa: E402

SIZES = [(3, 5, 24, 4), (7, 7, 12, 2)]


def projected(attend, d, h, requires_grad=False):
    W = [torch.ones(d, d, requires_grad=requires_grad) for _ in range(4)]

    def function(query, key):
        def split(x, w):
            return (x @ w).unflatten(-1, (h, d // h)).transpose(1, 2)

        context = attend(split(query, W[0]), split(key, W[1]), split(key, W[2]))
        return context.transpose(1, 2).flatten(2) @ W[3]

    return function


def arrays(n_q, n_k, d, **options):
    return torch.ones(1, n_q, d, **options), torch.ones(1, n_k, d, **options)


def naive(q, k, v):
    return (q @ k.mT).softmax(-1) @ v


def einsum(q, k, v):
    weights = torch.einsum("bhqd,bhkd->bhqk", q, k).softmax(-1)
    return torch.einsum("bhqk,bhkd->bhqd", weights, v)


def baddbmm(q, k, v):
    q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    scores = torch.baddbmm(torch.zeros(len(q), q.shape[1], k.shape[1]), q, k.mT, alpha=0.5)
    return torch.bmm(scores.softmax(-1), v)[None]


def with_backend(backend):
    def attend(q, k, v):
        with sdpa_kernel(backend):
            return scaled_dot_product_attention(q, k, v)

    return attend


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("inference", [False, True])
@pytest.mark.parametrize(
    "attend",
    [naive, einsum, baddbmm, with_backend(SDPBackend.MATH), with_backend(SDPBackend.FLASH_ATTENTION)],
    ids=["naive", "einsum", "baddbmm", "math", "flash"],
)
def test_products_are_counted_as_by_hand(attend, sizes, inference):
    n_q, n_k, d, h = sizes
    with torch.inference_mode(inference):
        counted = count(projected(attend, d, h), *arrays(n_q, n_k, d))
    assert counted.products == by_hand(*sizes)
    assert counted.unknown == ()


@pytest.mark.parametrize("grad", [False, True])
@pytest.mark.parametrize("need_weights", [False, True])
def test_multihead_attention_on_both_of_its_paths(grad, need_weights):
    layer = torch.nn.MultiheadAttention(12, 2, batch_first=True).eval()
    seen = []
    with torch.set_grad_enabled(grad), _spy(seen):
        x = torch.ones(1, 7, 12)
        counted = count(lambda x: layer(x, x, x, need_weights=need_weights), x)
    assert ("_native_multi_head_attention" in seen) is not grad
    assert counted.products == by_hand(7, 7, 12, 2)


def _spy(seen):
    from torch.utils._python_dispatch import TorchDispatchMode

    class Spy(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func.overloadpacket.__name__)
            return func(*args, **(kwargs or {}))

    return Spy()


@pytest.mark.parametrize(
    "name",
    [
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
    ],
)
def test_the_fused_operations_of_a_gpu_are_priced_without_one(name):
    q, k = torch.ones(1, 4, 3, 8, device="meta"), torch.ones(1, 4, 5, 8, device="meta")
    arguments = {"_scaled_dot_product_flash_attention": ()}.get(name, (None, False))
    counted = count(lambda: getattr(torch.ops.aten, name)(q, k, k, *arguments))
    assert counted.products == 4 * 3 * 5 * 32
    assert counted.unknown == ()


def test_the_encoder_layers_fast_path_is_attention_and_two_linear_layers():
    layer = torch.nn.TransformerEncoderLayer(12, 2, 20, batch_first=True).eval()
    with torch.no_grad():
        counted = count(layer, torch.ones(1, 7, 12))
    assert counted.products == by_hand(7, 7, 12, 2) + 2 * (2 * 7 * 12 * 20)


def test_gradients_are_counted_apart():
    n, d, h = 5, 12, 2
    x = torch.ones(1, n, d, requires_grad=True)
    counted = count(lambda x: projected(naive, d, h, True)(x, x), x, backward=True)
    assert counted.products == by_hand(n, n, d, h)
    assert counted.backward["matmul"] == 2 * by_hand(n, n, d, h)


def test_a_fused_gradient_takes_one_product_more():
    n, d, h = 5, 12, 2
    x = torch.ones(1, n, d, requires_grad=True)
    fused = with_backend(SDPBackend.FLASH_ATTENTION)
    counted = count(lambda x: projected(fused, d, h, True)(x, x), x, backward=True)
    assert sum(counted.backward[kind] for kind in ("matmul", "fused attention")) == (
        2 * by_hand(n, n, d, h) + 2 * n * n * d
    )


def test_what_has_no_price_is_named():
    x = torch.ones(1, 3, 4)
    assert count(torch.cdist, x, x).unknown == ("torch operation _cdist_forward",)


def test_an_operation_of_somebody_elses_is_named():
    @torch.library.custom_op("headcheck_test::attend", mutates_args=())
    def attend(x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    assert count(attend, torch.ones(2)).unknown == ("torch operation headcheck_test::attend",)


def test_exceptions_are_the_functions_own():
    with pytest.raises(ZeroDivisionError):
        count(lambda x: 1 / 0, torch.ones(1))


def test_a_refusal_that_only_the_counter_meets_is_said():
    def shy(x):
        from torch.utils._python_dispatch import _get_current_dispatch_mode

        if _get_current_dispatch_mode() is not None:
            raise RuntimeError("not under a mode")
        return x

    [reason] = count(shy, torch.ones(1)).unknown
    assert "not under a mode" in reason


def test_nothing_is_left_behind():
    from torch.utils._python_dispatch import _get_current_dispatch_mode

    count(lambda x: x @ x, torch.ones(2, 2))
    assert _get_current_dispatch_mode() is None


def test_flex_attention_is_priced():
    flex = pytest.importorskip("torch.nn.attention.flex_attention").flex_attention
    with torch.no_grad():
        counted = count(projected(flex, 12, 2), *arrays(3, 5, 12))
    assert counted.products == by_hand(3, 5, 12, 2)
    assert counted.unknown == ()


def test_a_compiled_function_is_counted_as_it_was_written():
    compiled = torch.compile(projected(naive, 12, 2))
    assert count(compiled, *arrays(3, 5, 12)).products == by_hand(3, 5, 12, 2)
