"""TDCN++, the separator of MixIT: a learned basis, dilated convolutions, masks that add up.

Kavalerov et al. (WASPAA 2019) and Wisdom et al. (NeurIPS 2020), in the form of the released recipe.
Letters: B batch, M channels, S samples, T frames, N basis functions, C width of the bottleneck.
"""

import itertools
import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.separation.config import ModelConfig

NORM_EPSILON = 1e-3
SCALE_DECAY = 0.9  # a block's scale begins at 0.9 to the power of its depth


def _glorot(layer: nn.Conv1d | nn.Linear) -> nn.Conv1d | nn.Linear:
    """Start a layer as Keras does: Glorot-uniform weights and a bias of zero.

    Of a depthwise convolution of H features and kernel K, Keras counts H * K inputs and K outputs,
    PyTorch K and H * K: the limit, sqrt(6 / (inputs + outputs)), is the same.
    """
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Dense(nn.Module):
    """A linear map of each frame, times one learned scale."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True, scale: float = 1.0) -> None:
        super().__init__()
        self.linear = _glorot(nn.Conv1d(inputs, outputs, 1, bias=bias))
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, T] to [B, outputs, T]."""
        return self.scale * self.linear(x)


class FeatureNorm(nn.Module):
    """Each feature of each example normalised over time; one scale and one offset for all."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.offset = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] to the same."""
        # The fused kernel costs a fifth of mean and variance taken apart.
        return torch.addcmul(
            self.offset, F.layer_norm(x, x.shape[-1:], eps=NORM_EPSILON), self.scale
        )


class Block(nn.Module):
    """A dilated depthwise convolution between two dense layers, added to its input."""

    def __init__(self, width: int, hidden: int, dilation: int, scale: float) -> None:
        super().__init__()
        self.expand = Dense(width, hidden, bias=False)
        self.first, self.first_norm = nn.PReLU(init=0.1), FeatureNorm()
        self.depthwise = _glorot(
            nn.Conv1d(hidden, hidden, 3, dilation=dilation, padding=dilation, groups=hidden)
        )
        self.second, self.second_norm = nn.PReLU(init=0.1), FeatureNorm()
        self.contract = Dense(hidden, width, bias=False, scale=scale)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T] to the same."""
        hidden = self.first_norm(self.first(self.expand(x)))  # activation before norm
        hidden = self.second_norm(self.second(self.depthwise(hidden)))
        return x + self.contract(hidden)


class Tdcn(nn.Module):
    """The stack of blocks: `repeats` times dilations 1, 2, 4, ..., with long skip-residuals."""

    def __init__(self, inputs: int, config: ModelConfig) -> None:
        super().__init__()
        width, blocks = config.bottleneck, config.blocks
        self.input = Dense(inputs, width)
        self.repeats = nn.ModuleList(
            nn.Sequential(
                *(
                    Block(width, config.hidden, 2**x, SCALE_DECAY ** (r * blocks + x))
                    for x in range(blocks)
                )
            )
            for r in range(config.repeats)
        )
        pairs = itertools.combinations(range(config.repeats), 2) if config.skips else ()
        self.skips = nn.ModuleDict({f"{i}_{j}": Dense(width, width) for i, j in pairs})

    def forward(self, frames: Tensor) -> Tensor:
        """[B, N, T] to [B, C, T]."""
        x = self.input(frames)
        inputs: list[Tensor] = []
        for later, repeat in enumerate(self.repeats):
            if self.skips:
                for earlier, kept in enumerate(inputs):
                    x = x + self.skips[f"{earlier}_{later}"](kept)
                inputs.append(x)
            x = repeat(x)
        return x


class LearnedBasis(nn.Module):
    """Analysis by N learned functions and a ReLU; synthesis by others, overlapped and added."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.window, self.hop, self.size = config.window, config.hop, config.basis
        self.analysis = nn.Conv1d(1, self.size, self.window, stride=self.hop, bias=False)
        self.synthesis = nn.ConvTranspose1d(self.size, 1, self.window, stride=self.hop, bias=False)
        for layer in (self.analysis, self.synthesis):  # as the dense layers that they stand for
            nn.init.xavier_uniform_(layer.weight.data[:, 0])

    def forward(self, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """Mixtures [B, S] to what is masked and what the network hears, the same: [B, N, T]."""
        samples = mixture.shape[1]
        frames = max(0, math.ceil((samples - self.window) / self.hop)) + 1
        whole = (frames - 1) * self.hop + self.window
        coefficients = F.relu(self.analysis(F.pad(mixture, (0, whole - samples))[:, None]))
        return coefficients, coefficients

    def back(self, masked: Tensor, samples: int) -> Tensor:
        """Coefficients [K, N, T] to waves [K, S]."""
        return self.synthesis(masked)[:, 0, :samples].float()


class Fourier(nn.Module):
    """The short-time Fourier transform under a root-Hann window; the network hears magnitudes.

    They are compressed by their cube root and brought to zero mean and unit deviation.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.hop, self.size = config.hop, config.window // 2 + 1
        window = torch.hann_window(config.window).sqrt()
        self.window: Tensor
        self.register_buffer("window", window, persistent=False)

    def forward(self, mixture: Tensor) -> tuple[Tensor, Tensor]:
        """Mixtures [B, S] to spectra, complex, and to what the network hears: both [B, N, T]."""
        n = len(self.window)
        spectra = torch.stft(
            mixture.float(), n, self.hop, window=self.window, pad_mode="constant",
            return_complex=True,
        )  # fmt: skip
        compressed = (spectra.abs() + 1e-6).pow(1 / 3)
        deviation, mean = torch.std_mean(compressed, dim=(1, 2), keepdim=True)
        return spectra, (compressed - mean) / (deviation + NORM_EPSILON)

    def back(self, masked: Tensor, samples: int) -> Tensor:
        """Spectra [K, N, T] to waves [K, S]."""
        n = len(self.window)
        return torch.istft(masked, n, self.hop, window=self.window, length=samples)


class Separator(nn.Module):
    """A mixture to M channels whose sum is the mixture (but with consistency `none`)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        learned = config.transform == "learned"
        self.transform = LearnedBasis(config) if learned else Fourier(config)
        self.tdcn = Tdcn(self.transform.size, config)
        masks = self.transform.size * config.channels
        self.mask = _glorot(nn.Conv1d(config.bottleneck, masks, 1, bias=False))
        self.share = _glorot(nn.Linear(config.bottleneck, config.channels, bias=False))

    def forward(self, mixture: Tensor) -> Tensor:
        """Mixtures [B, S] of any length S to channels [B, M, S]."""
        coefficients, compressed = self.transform(mixture)
        features = self.tdcn(compressed)  # [B, C, T]
        masks = torch.sigmoid(self.mask(features).float()).unflatten(1, (-1, self.transform.size))
        masked = (masks * coefficients[:, None]).flatten(0, 1)  # [B * M, N, T]
        channels = self.transform.back(masked, mixture.shape[1]).unflatten(0, (len(mixture), -1))
        return self._consistent(channels, mixture, features)

    def _consistent(self, channels: Tensor, mixture: Tensor, features: Tensor) -> Tensor:
        """Share what the channels lack (or have too much) of the mixture among them."""
        m = self.config.channels
        match self.config.consistency:
            case "none":
                return channels
            case "learned":
                shares = torch.softmax(self.share(features.mean(dim=-1)).float(), dim=-1)
            case "energy":
                energy = channels.square().mean(dim=-1) + 1e-8
                shares = energy / energy.sum(dim=-1, keepdim=True)
            case _:
                shares = channels.new_full((len(channels), m), 1 / m)
        return channels + shares[..., None] * (mixture - channels.sum(dim=1))[:, None]
