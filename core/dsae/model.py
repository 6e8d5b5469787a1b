"""The networks of the disentangled sequential autoencoder family (section 3 of the paper).

Letters: B batch, T frames, M mels, V size of the global latent, Z size of a local latent, H hidden.
"""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from core.audio.mel import N_MELS
from core.dsae import equaliser
from core.dsae.config import ModelConfig
from core.dsae.convolutional import ContextEncoder, FilmDecoder, PoolingEncoder, Quantiser
from core.dsae.decorrelation import Regression
from core.dsae.layers import Gaussian, GaussianHead, frame_mask, masked_mean, mlp


class BiLstm(nn.Module):
    """A two-layer bidirectional LSTM whose directions are averaged: [B, T, D] to [B, T, H]."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, num_layers=2, bidirectional=True, batch_first=True)

    def forward(self, x: Tensor, lengths: Tensor | None) -> Tensor:
        if lengths is None:
            out, _ = self.lstm(x)
        else:  # packed, so that the backward direction starts at each clip's own end
            packed = pack_padded_sequence(x, lengths.cpu(), batch_first=True, enforce_sorted=False)
            out, _ = pad_packed_sequence(
                self.lstm(packed)[0], batch_first=True, total_length=x.shape[1]
            )
        return torch.stack(out.chunk(2, dim=-1)).mean(0)


class GlobalEncoder(nn.Module):
    """q(v | x_1:T): an MLP on each frame, a mean over the clip's own frames, a Gaussian."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.frames = mlp(N_MELS, config.hidden)
        self.head = GaussianHead(config.hidden, config.v_size)

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Gaussian:
        """x [B, T, M] and lengths [B] (none: all T) to q(v) over [B, V]."""
        return self.head(masked_mean(self.frames(x), lengths))


class LocalEncoder(nn.Module):
    """q(z_t | x_t), or with the full posterior q(z_t | x_1:T, v)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.without_v: Regression | None = None
        if config.decorrelate:
            self.without_v = Regression(config.v_size, config.z_size, config.ridge)
        self.full = config.posterior == "full"
        self.context = config.posterior == "context"
        self.frames: nn.Module
        if self.full:
            self.frames = BiLstm(N_MELS, config.hidden)
        elif self.context:
            self.frames = ContextEncoder(config)
        else:
            self.frames = mlp(N_MELS, config.hidden)
        self.head = GaussianHead(config.hidden + self.full * config.v_size, config.z_size)
        self.quantise = Quantiser(config.z_levels) if config.z_levels else None

    def forward(
        self, x: Tensor, v: Tensor, lengths: Tensor | None = None, mean: Tensor | None = None
    ) -> Gaussian:
        """x [B, T, M] and v [B, V], which the factorised form ignores, to q(z) over [B, T, Z].

        `mean` [B, V]: that of q(v), where v is a sample; the regression on z uses it.
        """
        if self.context:
            q_z = self.head(self.frames(x, lengths))
        elif not self.full:
            q_z = self.head(self.frames(x))
        else:
            # As in the authors' code v joins after the LSTM; the paper's text joins it before.
            h = self.frames(x, lengths)
            q_z = self.head(torch.cat([h, v[:, None].expand(-1, x.shape[1], -1)], dim=-1))
        if self.without_v:
            predicted = self.without_v(v if mean is None else mean)
            q_z = Gaussian(q_z.mean - predicted[:, None], q_z.logvar)
        return self.quantise(q_z.mean) if self.quantise else q_z

    @torch.no_grad()
    def means(self, q_z: Gaussian, q_v: Gaussian, lengths: Tensor | None) -> Tensor:
        """The means of z over each clip before anything was taken off: [B, Z]."""
        taken = self.without_v(q_v.mean) if self.without_v else 0
        return masked_mean(q_z.mean, lengths) + taken


class TransitionPrior(nn.Module):
    """p(z_t | z_<t): a unidirectional LSTM driven by samples; p(z_1) = N(0, I)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        hidden = config.prior_hidden
        self.lstm = nn.LSTM(config.z_size, hidden, num_layers=2, batch_first=True)
        self.head = GaussianHead(hidden, config.z_size)

    def forward(self, z: Tensor) -> Gaussian:
        """Teacher forced: samples z [B, T, Z] to the prior of each z_t."""
        frames = z.shape[1]
        # One frame has no past. It passes the LSTM all the same, as DDP waits for every gradient.
        out, _ = self.lstm(z[:, : max(1, frames - 1)])
        rest = self.head(out)
        mean, logvar = (F.pad(part, (0, 0, 1, 0))[:, :frames] for part in rest)
        return Gaussian(mean, logvar)

    def sample(self, batch: int, frames: int) -> Tensor:
        """Free generation: each step is fed its own draw. [B, T, Z]."""
        weight = self.head.mean.weight
        z = torch.randn(batch, 1, weight.shape[0], device=weight.device)
        drawn, state = [z], None
        for _ in range(frames - 1):
            out, state = self.lstm(z, state)
            z = self.head(out).sample()
            drawn.append(z)
        return torch.cat(drawn, dim=1)


class FramewiseDecoder(nn.Module):
    """The mean of p(x_t | z_t, v) by an MLP on each frame."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.frames = mlp(config.z_size + config.v_size, config.hidden)
        self.out = nn.Linear(config.hidden, N_MELS)

    def forward(self, z: Tensor, v: Tensor, lengths: Tensor | None = None) -> Tensor:
        """z [B, T, Z] and v [B, V] to a log-mel [B, T, M]."""
        first, *rest = self.frames
        assert isinstance(first, nn.Linear)  # as mlp makes it
        # The layer on [z_t, v] as a sum: v's share is the same in all frames, so computed once.
        of_z, of_v = first.weight.split([z.shape[-1], v.shape[-1]], dim=1)
        h = F.linear(z, of_z) + F.linear(v, of_v, first.bias)[:, None]
        for layer in rest:
            h = layer(h)
        return self.out(h).float()


class ConvolutionalDecoder(nn.Module):
    """The frame-wise decoder behind a convolution of z over the frames around each."""

    WIDTH = 9  # frames, 144 ms

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.of_z = nn.Conv1d(config.z_size, config.hidden, self.WIDTH, padding="same")
        self.of_v = nn.Linear(config.v_size, config.hidden)
        self.frames = mlp(config.hidden, config.hidden)
        self.out = nn.Linear(config.hidden, N_MELS)

    def forward(self, z: Tensor, v: Tensor, lengths: Tensor | None = None) -> Tensor:
        """z [B, T, Z] and v [B, V] to a log-mel [B, T, M]."""
        if lengths is not None:
            z = z * frame_mask(lengths, z.shape[1])[..., None]
        h = self.of_z(z.transpose(1, 2)).transpose(1, 2) + self.of_v(v)[:, None]
        return self.out(self.frames(torch.tanh(h))).float()


class RecurrentDecoder(nn.Module):
    """The enriched decoder of section 6.4: a bidirectional LSTM on [z_1:T, v]."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.frames = BiLstm(config.z_size + config.v_size, config.hidden)
        self.out = nn.Linear(config.hidden, N_MELS)

    def forward(self, z: Tensor, v: Tensor, lengths: Tensor | None = None) -> Tensor:
        """z [B, T, Z] and v [B, V] to a log-mel [B, T, M]."""
        h = torch.cat([z, v[:, None].expand(-1, z.shape[1], -1)], dim=-1)
        return self.out(self.frames(h, lengths)).float()


EQUALISER_LOGVAR = -4.6  # of its coefficients: a deviation of 0.1, as between parts of a recording
DECODERS = {
    "framewise": FramewiseDecoder,
    "recurrent": RecurrentDecoder,
    "convolutional": ConvolutionalDecoder,
    "film": FilmDecoder,
}
GLOBAL_ENCODERS = {"framewise": GlobalEncoder, "pooling": PoolingEncoder}


class Dsae(nn.Module):
    """Encoders, prior and decoder. The global encoder's snapshot is part of it from the start."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.global_encoder = GLOBAL_ENCODERS[config.global_encoder](config)
        self.local_encoder = LocalEncoder(config)
        self.prior = TransitionPrior(config)
        self.decoder = DECODERS[config.decoder](config)
        self.snapshot = copy.deepcopy(self.global_encoder).requires_grad_(False)
        self.adversary: nn.Module | None = None
        if config.adversary:
            statistics = 2 * config.z_size
            self.adversary = nn.Sequential(
                mlp(statistics, config.hidden), nn.Linear(config.hidden, config.v_size)
            )

    @torch.no_grad()
    def take_snapshot(self) -> None:
        """Freeze today's global encoder as the informed prior of stage 2 (equation 3)."""
        self.snapshot.load_state_dict(self.global_encoder.state_dict())

    def encode(self, x: Tensor, lengths: Tensor | None = None) -> tuple[Gaussian, Gaussian]:
        """x [B, T, M] to q(v) over [B, V] and q(z) over [B, T, Z], v taken at its mean.

        With an equaliser q(v) is over [B, V + E]: its coefficients follow.
        """
        q_v = self.global_encoder(x, lengths)
        q_z = self.local(x, q_v, q_v.mean, lengths)
        if self.config.equaliser:
            rebuilt = self.decoder(q_z.mean, q_v.mean, lengths)
            q_v = self.equalised(x, rebuilt, q_v, lengths)
        return q_v, q_z

    def equalised(
        self, x: Tensor, rebuilt: Tensor, q_v: Gaussian, lengths: Tensor | None = None
    ) -> Gaussian:
        """q(v) over [B, V], completed by the equaliser from x to its reconstruction: [B, V + E]."""
        size = self.config.equaliser
        found = equaliser.fit(x, rebuilt.detach(), lengths, self.config.floor, size)
        spread = torch.full_like(found, EQUALISER_LOGVAR)
        return Gaussian(torch.cat([q_v.mean, found], 1), torch.cat([q_v.logvar, spread], 1))

    def local(self, x: Tensor, q_v: Gaussian, v: Tensor, lengths: Tensor | None = None) -> Gaussian:
        """q(z) over [B, T, Z] of x [B, T, M], where v [B, V] was drawn from `q_v`."""
        return self.local_encoder(x, v, lengths, q_v.mean)
