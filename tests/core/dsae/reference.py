"""A plain transcription of the original training step, as oracle and as baseline of speed.

It runs the whole model, transition prior and snapshot included, for the input and again for each
of the two swapped signals, and writes every formula out. It borrows the weights of a `Dsae`.
"""

import torch
from torch import nn

from core.dsae.model import Dsae


def gaussian_kl(mean1, logvar1, mean2, logvar2):
    return 0.5 * (
        logvar2 - logvar1 + (torch.exp(logvar1) + (mean1 - mean2) ** 2) / torch.exp(logvar2) - 1
    )


class ReferenceStep(nn.Module):
    """The factorised posterior with the frame-wise decoder, all clips of equal length."""

    def __init__(self, model: Dsae, noise: float = 1.0) -> None:
        super().__init__()
        self.model, self.noise = model, noise

    def draw(self, mean, logvar):
        return mean + self.noise * torch.randn_like(mean) * torch.exp(0.5 * logvar)

    def heads(self, head, h):
        return head.mean(h), head.logvar(h)

    def everything(self, x):
        """All distributions and samples for log-mels x [B, T, M]."""
        m, frames = self.model, x.shape[1]
        v_mean, v_logvar = self.heads(
            m.global_encoder.head, m.global_encoder.frames(x).sum(1) / frames
        )
        v = self.draw(v_mean, v_logvar)
        z_mean, z_logvar = self.heads(m.local_encoder.head, m.local_encoder.frames(x))
        z = self.draw(z_mean, z_logvar)
        h, _ = m.prior.lstm(z)
        prior_mean, prior_logvar = self.heads(m.prior.head, h)
        first = torch.zeros_like(prior_mean[:, :1])
        prior_mean = torch.cat([first, prior_mean[:, :-1]], 1)
        prior_logvar = torch.cat([first, prior_logvar[:, :-1]], 1)
        snapshot = self.heads(m.snapshot.head, m.snapshot.frames(x).sum(1) / frames)
        return {
            "v": (v_mean, v_logvar, v),
            "z": (z_mean, z_logvar, z),
            "prior": (prior_mean, prior_logvar),
            "snapshot": snapshot,
            "decoded": self.decode(z, v),
        }

    def decode(self, z, v):
        repeated = v.unsqueeze(1).repeat(1, z.shape[1], 1)
        return self.model.decoder.out(self.model.decoder.frames(torch.cat([z, repeated], dim=-1)))

    def stage_1(self, x):
        """Constrained training: no swaps, and N(0, I) as the prior of v."""
        one = self.everything(x)
        v_mean, v_logvar, _ = one["v"]
        zero = torch.zeros_like(v_mean)
        terms = {
            "reconstruction": ((one["decoded"] - x) ** 2).mean(),
            "kl_z": gaussian_kl(*one["z"][:2], *one["prior"]).mean(),
            "kl_v": gaussian_kl(v_mean, v_logvar, zero, zero).mean(),
        }
        return {"loss": sum(terms.values()), **terms}

    def forward(self, x, of_global, of_local):
        one = self.everything(x)
        v_mean, v_logvar, v = one["v"]
        z_mean, z_logvar, z = one["z"]
        gswap = self.everything(self.decode(z, v[of_global]))
        lswap = self.everything(self.decode(z[of_local], v))
        j, k = of_global, of_local
        terms = {
            "reconstruction": ((one["decoded"] - x) ** 2).mean(),
            "kl_z": gaussian_kl(z_mean, z_logvar, *one["prior"]).mean(),
            "kl_v": gaussian_kl(v_mean, v_logvar, *one["snapshot"]).mean(),
            "z_gswap": gaussian_kl(*gswap["z"][:2], z_mean, z_logvar).mean(),
            "v_gswap": gaussian_kl(*gswap["v"][:2], v_mean[j], v_logvar[j]).mean(),
            "v_lswap": gaussian_kl(*lswap["v"][:2], v_mean, v_logvar).mean(),
            "z_lswap": gaussian_kl(*lswap["z"][:2], z_mean[k], z_logvar[k]).mean(),
        }
        return {"loss": sum(terms.values()), **terms}
