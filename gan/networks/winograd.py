"""Convolutions with kernel 4, stride 2, padding 1 by Winograd's minimal filtering: 9 products instead of 16.

Winograd 1980 (Arithmetic complexity of computations); Lavin and Gray 2016 (Fast algorithms for convolutional neural
networks), section 4. Along one axis, such a convolution is the sum of two convolutions with kernel 2 and stride 1, over the
even and the odd lines. Two of their outputs y0 = x0 w0 + x1 w1, y1 = x1 w0 + x2 w1 take three products instead of four:
    m0 = (x0 - x1) w0,  m1 = x1 (w0 + w1),  m2 = (x1 - x2) w1,  y0 = m0 + m1,  y1 = m1 - m2.
Along both axes, that is 9 matrix products over all tiles of 2 x 2 outputs. The transposed convolution and both gradients are
the same products in reverse, between the same three transforms or their adjoints.

Names, for images n, a x b kernels, and h x w tiles:
    small  (n, a, 2 h, 2 w)         the side with fewer pixels: a convolution's output
    large  (n, b, 4 h, 4 w)         the side with more pixels: its input
    kernel (a, b, 4, 4)
    points (9, n h w, a or 4 b)     a map, transformed; the channels of 2 x 2 pixels side by side
           (9, a, 4 b)              a kernel, transformed
"""

from typing import Any

import torch
import torch.nn.functional as F

CACHED = 3 << 20  # bytes of a large map transformed at a time
CHANNELS, PLACES = 128, 512  # channels of the large side, and pixels of all small maps, above which this is faster


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, kernel: torch.Tensor, transposed: bool) -> torch.Tensor:
        n, _, height, width = x.shape
        kernel_points = _kernel_points(kernel)
        if transposed:
            points = _small_points(x)
            result = _large_from_points(torch.bmm(points, kernel_points), n, 2 * height, 2 * width)
        else:
            points = _large_points(x)
            result = _small_from_points(torch.bmm(points, kernel_points.transpose(1, 2)), n, height // 2, width // 2)
        ctx.save_for_backward(x, kernel, points, kernel_points)
        ctx.transposed = transposed
        return result

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        x, kernel, points, kernel_points = ctx.saved_tensors
        wants_x, wants_kernel, _ = ctx.needs_input_grad
        if torch.is_grad_enabled():  # it will be differentiated again: only torch's own can be
            settings = (None, [2, 2], [1, 1], [1, 1], ctx.transposed, [0, 0], 1, [wants_x, wants_kernel, False])
            return *torch.ops.aten.convolution_backward(gradient, x, kernel, *settings)[:2], None
        n, _, height, width = x.shape
        for_x = for_kernel = None
        if ctx.transposed:
            small, large = points, _large_points(gradient)
            if wants_x:
                for_x = _small_from_points(torch.bmm(large, kernel_points.transpose(1, 2)), n, height, width)
        else:
            small, large = _small_points(gradient), points
            if wants_x:
                for_x = _large_from_points(torch.bmm(small, kernel_points), n, height, width)
        if wants_kernel:
            for_kernel = _kernel_from_points(torch.bmm(small.transpose(1, 2), large))
        return for_x, for_kernel, None


def convolution(x: torch.Tensor, kernel: torch.Tensor, transposed: bool) -> torch.Tensor:
    """conv2d(x, kernel, stride=2, padding=1), or conv_transpose2d; twice differentiable.

    Args:
        x: (n, b, 4 h, 4 w), or (n, a, 2 h, 2 w) if transposed.
        kernel: (a, b, 4, 4), of x's dtype.
        transposed: whether it goes from the small side to the large.

    Returns:
        (n, a, 2 h, 2 w), or (n, b, 4 h, 4 w); channels last.
    """
    result: torch.Tensor = _Convolution.apply(x, kernel, transposed)  # type: ignore[no-untyped-call]
    return result


def pays(kernel: torch.Tensor, n: int, small: int) -> bool:
    """Whether convolution() is faster for n images and a small side of small x small pixels, as measured on a CPU.

    The savings grow with the channels, the cost of the transforms does not. In 32 bits the transforms move twice the bytes, and only
    the kernel's gradient makes up for that. With half the channels, only 16 bits, the kernel's gradient and large maps together do.
    """
    b, k = kernel.shape[1], kernel.shape[-1]
    short, trained = kernel.dtype == torch.bfloat16, kernel.requires_grad
    wide = (b >= CHANNELS and (short or trained)) or (b >= CHANNELS // 2 and small >= 16 and short and trained)
    return wide and k == 4 and small % 2 == 0 and n * small * small >= PLACES


def _pixels(maps: torch.Tensor) -> torch.Tensor:
    """(n, c, height, width) -> (n, height, width, c) as needed in memory; free for channels-last maps."""
    return maps.permute(0, 2, 3, 1).contiguous()


def _large_points(large: torch.Tensor) -> torch.Tensor:
    n, b, height, width = large.shape
    h, w = height // 4, width // 4
    points = large.new_empty(3, 3, n, h, w * 4 * b)
    pixels = _pixels(large)
    for some, its_points in zip(*_in_cache(pixels, points), strict=True):
        padded = F.pad(some, (0, 0, 1, 1, 1, 1)).view(len(some), 2 * h + 1, 2, 2 * w + 1, 2 * b)
        columns = large.new_empty(3, len(some), 2 * h + 1, w, 2, 2 * b)
        _differences(padded.movedim(3, 0), columns.movedim(3, 1))
        _differences(columns.flatten(3).movedim(2, 0), its_points.movedim(3, 1))
    return points.view(9, n * h * w, 4 * b)


def _large_from_points(points: torch.Tensor, n: int, height: int, width: int) -> torch.Tensor:
    """The adjoint of _large_points."""
    h, w, b = height // 4, width // 4, points.shape[2] // 4
    pixels = points.new_empty(n, height, width, b)
    for some, its_points in zip(*_in_cache(pixels, points.view(3, 3, n, h, w * 4 * b)), strict=True):
        columns = points.new_empty(3, len(some), 2 * h + 1, w, 2, 2 * b)
        _differences_adjoint(its_points.movedim(3, 1), columns.flatten(3).movedim(2, 0))
        padded = points.new_empty(len(some), 2 * h + 1, 2, 2 * w + 1, 2 * b)
        _differences_adjoint(columns.movedim(3, 1), padded.movedim(3, 0))
        some.copy_(padded.view(len(some), height + 2, width + 2, b)[:, 1:-1, 1:-1])
    return pixels.permute(0, 3, 1, 2)


def _in_cache(pixels: torch.Tensor, points: torch.Tensor) -> tuple[tuple[torch.Tensor, ...], tuple[torch.Tensor, ...]]:
    """Both, a few images at a time, so the data between them stay in the processor's cache: up to twice as fast."""
    k = max(1, CACHED // (pixels[0].numel() * pixels.element_size()))
    return pixels.split(k), points.split(k, 2)


def _differences(blocks: torch.Tensor, points: torch.Tensor) -> None:
    """x0 - x1, x1, x1 - x2 along one axis: blocks of two lines (2 tiles + 1, ...) -> points (3, tiles, ...)."""
    even, odd = blocks[0::2], blocks[1::2]
    torch.sub(even[:-1], odd, out=points[0])
    points[1].copy_(odd)
    torch.sub(odd, even[1:], out=points[2])


def _differences_adjoint(points: torch.Tensor, blocks: torch.Tensor) -> None:
    even, odd = blocks[0::2], blocks[1::2]
    torch.sub(points[1], points[0], out=odd)
    odd += points[2]
    even[0].copy_(points[0, 0])
    torch.sub(points[0, 1:], points[2, :-1], out=even[1:-1])
    torch.neg(points[2, -1], out=even[-1])


def _small_points(small: torch.Tensor) -> torch.Tensor:
    """The adjoint of _small_from_points."""
    n, a, height, width = small.shape
    h, w = height // 2, width // 2
    rows = small.new_empty(3, n, h, width, a)
    _sums_adjoint(_pixels(small).view(n, h, 2, width, a).movedim(2, 0), rows)
    points = small.new_empty(3, 3, n, h, w, a)
    _sums_adjoint(rows.view(3, n, h, w, 2, a).movedim(4, 0), points.movedim(1, 0))
    return points.view(9, n * h * w, a)


def _small_from_points(points: torch.Tensor, n: int, height: int, width: int) -> torch.Tensor:
    h, w, a = height // 2, width // 2, points.shape[2]
    rows = points.new_empty(3, n, h, width, a)
    _sums(points.view(3, 3, n, h, w, a).movedim(1, 0), rows.view(3, n, h, w, 2, a).movedim(4, 0))
    pixels = points.new_empty(n, height, width, a)
    _sums(rows, pixels.view(n, h, 2, width, a).movedim(2, 0))
    return pixels.permute(0, 3, 1, 2)


def _sums(points: torch.Tensor, lines: torch.Tensor) -> None:
    """m0 + m1, m1 - m2: points (3, ...) -> lines (2, ...)."""
    torch.add(points[0], points[1], out=lines[0])
    torch.sub(points[1], points[2], out=lines[1])


def _sums_adjoint(lines: torch.Tensor, points: torch.Tensor) -> None:
    points[0].copy_(lines[0])
    torch.add(lines[0], lines[1], out=points[1])
    torch.neg(lines[1], out=points[2])


def _kernel_points(kernel: torch.Tensor) -> torch.Tensor:
    a, b = kernel.shape[:2]
    rows = kernel.new_empty(3, a, 2, 4, b)
    _taps(_pixels(kernel).view(a, 2, 2, 4, b).movedim(1, 0), rows)
    points = kernel.new_empty(3, 3, a, 2, 2, b)
    _taps(rows.view(3, a, 2, 2, 2, b).movedim(3, 0), points.movedim(1, 0))
    return points.view(9, a, 4 * b)


def _kernel_from_points(points: torch.Tensor) -> torch.Tensor:
    """The adjoint of _kernel_points."""
    a, b = points.shape[1], points.shape[2] // 4
    rows = points.new_empty(3, a, 2, 4, b)
    _taps_adjoint(points.view(3, 3, a, 2, 2, b).movedim(1, 0), rows.view(3, a, 2, 2, 2, b).movedim(3, 0))
    kernel = points.new_empty(a, 4, 4, b)
    _taps_adjoint(rows, kernel.view(a, 2, 2, 4, b).movedim(1, 0))
    return kernel.permute(0, 3, 1, 2)


def _taps(taps: torch.Tensor, points: torch.Tensor) -> None:
    """w0, w0 + w1, w1: taps (2, ...) -> points (3, ...)."""
    points[0].copy_(taps[0])
    torch.add(taps[0], taps[1], out=points[1])
    points[2].copy_(taps[1])


def _taps_adjoint(points: torch.Tensor, taps: torch.Tensor) -> None:
    torch.add(points[0], points[1], out=taps[0])
    torch.add(points[1], points[2], out=taps[1])
