"""The blocks of a small residual network, remembered from a forward pass, for derivatives of second order."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from harness.engine.networks.layers import BatchNormMode, Layers


@dataclass(frozen=True)
class Seen:
    """A block as it was seen in a forward pass.

    Attributes:
        source: number of its input: 0 the images, k the result of the block k - 1.
        added: number of what is added; None without.
        weight: name of the convolution's weight.
        norm: name of the normalisation.
        stride: of the convolution.
        activation: what follows.
        tensors: x, y, u and out (see ``changes``), [B, C, H, W].
    """

    source: int
    added: int | None
    weight: str
    norm: str
    stride: int
    activation: str
    tensors: tuple[Tensor, Tensor, Tensor, Tensor]


class Unserved(Exception):
    """The network is made of something else."""


class Recorder(Layers):
    """Remembers the blocks of a network that is blocks, the mean over each channel, and one linear layer.

    Attributes:
        known: the images, then what each block gave.
        blocks: in the order of the forward pass.
        pooled: means over channels [1, B, C].
        scores: what the linear layer made of them, [1, B, K].
    """

    def __init__(self, parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], mode: BatchNormMode) -> None:
        super().__init__(parameters, buffers, batch_norm=mode)
        self.known: list[Tensor] = []
        self.blocks: list[Seen] = []
        self.pooled: Tensor | None = None
        self.scores: Tensor | None = None

    def _number(self, x: Tensor) -> int:
        for number, known in enumerate(self.known):
            if known is x:
                return number
        raise Unserved

    def images(self, x: Tensor) -> Tensor:
        """See ``Layers``."""
        self.known.append(super().images(x))
        return self.known[0]

    def block(
        self,
        x: Tensor,
        name: str,
        channels: int,
        size: int,
        *,
        norm: str,
        normalisation: str = "batch",
        activation: str = "none",
        stride: int = 1,
        biased: bool = False,
        added: Tensor | None = None,
    ) -> Tensor:
        """See ``Layers``."""
        if normalisation != "batch" or biased or self.pooled is not None:
            raise Unserved
        y = self.convolve(x, name, channels, size, stride=stride)
        normal = self.batch_norm(y, norm)
        u = normal if added is None else normal + added
        out = self.activate(u, activation)
        places = self._number(x), None if added is None else self._number(added)
        self.known.append(out)
        self.blocks.append(Seen(*places, f"{name}.weight", norm, stride, activation, (x, y, u, out)))
        return out

    def pool_all(self, x: Tensor) -> Tensor:
        """See ``Layers``."""
        if self._number(x) != len(self.blocks):
            raise Unserved
        self.pooled = super().pool_all(x)
        return self.pooled

    def linear(self, x: Tensor, name: str, features: int, *, output_layer: bool = False) -> Tensor:
        """See ``Layers``."""
        if x is not self.pooled or name != "output":
            raise Unserved
        self.scores = super().linear(x, name, features, output_layer=output_layer)
        return self.scores
