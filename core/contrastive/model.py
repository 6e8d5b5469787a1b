"""The encoder, CNN14 with a bottleneck or a small one, and the heads of the two proxy tasks.

CNN14: Kong et al., PANNs (2020), in the form that the WASPAA 2021 paper uses. B batch, T frames,
M bands, D size of the embedding h.
"""

import itertools
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.contrastive.config import ModelConfig
from core.errors import RavelError

BANDS = 64
WIDTHS = (64, 128, 256, 512, 1024, 2048)


class ConvBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, then average pooling and dropout."""

    def __init__(self, inputs: int, outputs: int, pool: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.pool = pool
        for conv in (self.conv1, self.conv2):
            nn.init.xavier_uniform_(conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, T, M] to [B, outputs, T / pool, M / pool]."""
        x = F.relu_(self.bn1(self.conv1(x)))
        x = F.relu_(self.bn2(self.conv2(x)))
        if self.pool > 1:
            x = F.avg_pool2d(x, self.pool)
        return F.dropout(x, 0.2, self.training)


class Cnn14(nn.Module):
    """CNN14 with 2048 -> D in place of its two last layers: 75.7 M parameters at D = 128.

    Names are those of PANNs, so that its weights can be taken over.
    """

    def __init__(self, embedding: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(BANDS)
        inputs = (1, *WIDTHS[:-1])
        for number, (before, after) in enumerate(zip(inputs, WIDTHS, strict=True), start=1):
            pool = 2 if number < len(WIDTHS) else 1
            self.add_module(f"conv_block{number}", ConvBlock(before, after, pool))
        self.fc = nn.Linear(WIDTHS[-1], embedding)
        nn.init.xavier_uniform_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def features(self, x: Tensor) -> Tensor:
        """Log-mels [B, T, 64], T at least 32, to pooled features [B, 2048]."""
        x = self.bn0(x.transpose(1, 2)[..., None])  # [B, M, T, 1]: each band by itself
        x = x.permute(0, 3, 2, 1)  # [B, 1, T, M]
        for number in range(1, len(WIDTHS) + 1):
            x = getattr(self, f"conv_block{number}")(x)
        return _pooled(x)

    def forward(self, x: Tensor) -> Tensor:
        """Log-mels [B, T, 64] to embeddings h [B, D], without a last nonlinearity."""
        return self.fc(F.dropout(self.features(x), 0.5, self.training))


class SmallEncoder(nn.Module):
    """A strided 5x5 stem and three blocks of one convolution: CNN14's plan for two CPU cores."""

    def __init__(self, embedding: int, width: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(BANDS)
        widths = [width * 2**i for i in range(4)]
        self.stem = nn.Conv2d(1, width, 5, stride=2, padding=2, bias=False)
        self.stem_bn = nn.BatchNorm2d(width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in itertools.pairwise(widths)
        )
        self.fc = nn.Linear(widths[-1], embedding)

    def features(self, x: Tensor) -> Tensor:
        """Log-mels [B, T, 64], T at least 16, to pooled features [B, 8 * width]."""
        x = self.bn0(x.transpose(1, 2)[..., None]).permute(0, 3, 2, 1)  # [B, 1, T, M]
        # Channels last in memory: CPUs convolve this net a fifth faster so.
        x = self.stem(x).contiguous(memory_format=torch.channels_last)
        x = F.relu(self.stem_bn(x))
        for block in self.blocks:
            x = block(F.avg_pool2d(x, 2))
        return _pooled(x)

    def forward(self, x: Tensor) -> Tensor:
        """Log-mels [B, T, 64] to embeddings h [B, D], without a last nonlinearity."""
        return self.fc(self.features(x))


class Contrastive(nn.Module):
    """The encoder and its heads: what is trained. Only the encoder is used afterwards."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        size = config.embedding
        self.encoder: Cnn14 | SmallEncoder = (
            Cnn14(size) if config.encoder == "cnn14" else SmallEncoder(size, config.width)
        )
        self.projection = nn.Sequential(
            nn.Linear(size, config.head), nn.ReLU(), nn.Linear(config.head, config.projection)
        )
        # One linear layer on the pair [h_a; h_b], kept apart as its two halves.
        self.coincidence_a = nn.Linear(size, config.head)
        self.coincidence_b = nn.Linear(size, config.head, bias=False)
        self.coincidence_out = nn.Linear(config.head, 1)

    def coincidence(self, a: Tensor, b: Tensor) -> Tensor:
        """The logit of every pair of embeddings a [N, D] and b [K, D]: [N, K]."""
        hidden = self.coincidence_a(a)[:, None] + self.coincidence_b(b)[None]  # [N, K, head]
        return self.coincidence_out(F.relu(hidden))[..., 0]


def take_panns(encoder: Cnn14, weights: Mapping[str, Tensor]) -> list[str]:
    """Take over the trunk of PANNs' CNN14; what was left out, by name, such as its last layers.

    Raises RavelError when a weight of the trunk is missing or has another shape, as of another
    architecture or another number of bands.
    """
    own = {name: tensor for name, tensor in encoder.state_dict().items() if name[:3] != "fc."}
    counts = {name for name in own if name.endswith("num_batches_tracked")}
    for name, tensor in own.items():
        if name in counts - weights.keys():  # which old files lack, and no output depends on
            continue
        if name not in weights:
            raise RavelError(f"The weights are not those of CNN14: they have no {name}.")
        if weights[name].shape != tensor.shape:
            raise RavelError(
                f"The weights are not those of a CNN14 with {BANDS} bands: {name} has the shape "
                f"{tuple(weights[name].shape)}, but {tuple(tensor.shape)} is expected."
            )
    taken = {name: weights[name] for name in own if name in weights}
    encoder.load_state_dict(taken, strict=False)
    return sorted(weights.keys() - own.keys())


def _pooled(x: Tensor) -> Tensor:
    """[B, C, T, M]: mean over bands, then maximum plus mean over time, [B, C]."""
    x = x.mean(dim=3)
    return x.amax(dim=2) + x.mean(dim=2)
