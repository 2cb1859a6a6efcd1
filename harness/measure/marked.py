"""Examples of a split that are counted, told one by one: a bit each, packed into text."""

from collections.abc import Sequence

import torch
from torch import Tensor


def packed(marked: Tensor) -> list[str]:
    """Which of N examples are marked, in hexadecimal: eight to a byte, the first one highest.

    Args:
        marked: [R, N], bool.

    Returns:
        R texts of equal length.

    Examples:
        >>> import torch
        >>> from harness.measure.marked import packed
        >>> packed(torch.tensor([[True, False, False, False, False, False, False, False, True]]))
        ['8080']
    """
    import numpy as np

    return [row.tobytes().hex() for row in np.packbits(marked.cpu().numpy(), axis=1)]


def unpacked(texts: Sequence[str], examples: int) -> Tensor:
    """The marks again: R texts to [R, N], bool.

    Args:
        texts: of equal length.
        examples: N.

    Raises:
        ValueError: a text is not that of so many examples.

    Examples:
        >>> from harness.measure.marked import unpacked
        >>> unpacked(["8080"], 9).nonzero().tolist()
        [[0, 0], [0, 8]]
    """
    import numpy as np

    whole = [np.frombuffer(bytes.fromhex(text), dtype=np.uint8) for text in texts]
    if any(len(part) != -(-examples // 8) for part in whole):
        raise ValueError(f"{examples} examples take {-(-examples // 8)} bytes each time, found {list(map(len, whole))}")
    return torch.from_numpy(np.unpackbits(np.stack(whole), axis=1, count=examples).astype(bool))
