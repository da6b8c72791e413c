"""What the parts of a ViT's block take in fp32 and in bf16, on one thread of a processor.

python -m benchmarks.programs.parts [ROUNDS]. The block is that of `just bench step`: 32 images of
64 tokens, 96 channels, 3 heads, a hidden layer of 384. Both formats take turns; a part's time is
its fastest, of the process's own time, so that other work on the machine hardly counts.
"""

import sys
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

IMAGES, TOKENS, WIDTH, HEADS, HIDDEN = 32, 64, 96, 3, 384
REPEATS = 10
"""Calls that are timed together: one takes as long as some hundred readings of the clock."""


def parts(format_: torch.dtype) -> dict[str, Callable[[], object]]:
    """Every part in a format; what autocast leaves in fp32 is so in both."""
    torch.manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape).to(format_)

    rows = IMAGES * TOKENS
    x, y, up, down = (
        drawn(rows, WIDTH),
        drawn(rows, HIDDEN),
        drawn(HIDDEN, WIDTH),
        drawn(WIDTH, HIDDEN),
    )
    split = drawn(IMAGES, TOKENS, 3, HEADS, WIDTH // HEADS).permute(2, 0, 3, 1, 4)
    q, k, v = split.unbind(0)
    trained = [part.detach().clone().requires_grad_() for part in (q, k, v)]
    given = drawn(IMAGES, HEADS, TOKENS, WIDTH // HEADS)

    def attention(mix: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        torch.autograd.grad(mix(*trained), trained, given)

    scores = q @ k.mT
    weights = scores.softmax(-1)
    plain, scale = torch.randn(rows, WIDTH), torch.ones(WIDTH)
    _, mean, deviation = torch.native_layer_norm(plain, [WIDTH], scale, scale, 1e-5)
    backward = torch.ops.aten
    return {
        "product, 96 to 384": lambda: F.linear(x, up),
        "product, 384 to 96": lambda: F.linear(y, down),
        "gradient of its input": lambda: x @ down,
        "gradient of its weight": lambda: x.T @ y,
        "gradient of its bias": lambda: y.sum(0),
        "queries by keys": lambda: q @ k.mT,
        "weights by values": lambda: weights @ v,
        "softmax": lambda: scores.softmax(-1),
        "its gradient": lambda: backward._softmax_backward_data(scores, weights, -1, format_),
        "attention, with gradients": lambda: attention(lambda q, k, v: (q @ k.mT).softmax(-1) @ v),
        "the same, torch's kernel": lambda: attention(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=1.0)
        ),
        "GELU": lambda: F.gelu(y),
        "GELU's gradient": lambda: backward.gelu_backward(y, y),
        "layer norm": lambda: torch.native_layer_norm(plain, [WIDTH], scale, scale, 1e-5),
        "layer norm's gradient": lambda: backward.native_layer_norm_backward(
            plain, plain, [WIDTH], mean, deviation, scale, scale, [True] * 3
        ),
        "residual sum": lambda: plain + x,
        "cast to the format": lambda: plain.to(format_, copy=True),
    }


def main(rounds: int) -> None:
    """Print the parts, milliseconds in both formats, and their ratio."""
    torch.set_num_threads(1)
    formats = (torch.float32, torch.bfloat16)
    asked = [parts(format_) for format_ in formats]
    print(f"{'part':26} {'fp32, ms':>9} {'bf16, ms':>9} {'bf16 / fp32':>12}")
    for name in asked[0]:
        best = [float("inf")] * 2
        for _ in range(rounds):
            for i, some in enumerate(asked):
                began = time.process_time()
                for _ in range(REPEATS):
                    some[name]()
                best[i] = min(best[i], (time.process_time() - began) / REPEATS)
        slow, fast = (1e3 * seconds for seconds in best)
        print(f"{name:26} {slow:9.3f} {fast:9.3f} {fast / slow:12.2f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
