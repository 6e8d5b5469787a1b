"""Removes from the local latents what v predicts of them.

A linear probe on the mean of z over a clip finds the instrument even if a swap does not reveal it:
the smallest offset is enough. v represents the instrument without labels. So the prediction of that
mean from v, by linear regression, is subtracted from all z of the clip; the rest is uncorrelated
with v, and a linear probe for what v represents finds nothing (least squares then has no slope, as
in concept erasure, Belrose et al. 2023).
"""

import torch
from torch import Tensor, distributed, nn

SHARE = 0.005  # weight of a new batch in the running moments, after the first 1 / SHARE batches


class Regression(nn.Module):
    """A ridge regression from v [V] to the mean of z over a clip [Z].

    During training it follows running moments of the batches; `fit` makes it exact. `ridge` is a
    variance: dimensions of v that vary less have little effect.
    """

    seen: Tensor  # batches so far
    v: Tensor  # running moments: [V]
    z: Tensor  # [Z]
    vv: Tensor  # [V, V]
    vz: Tensor  # [V, Z]
    centre: Tensor  # [V]
    slope: Tensor  # [V, Z]

    def __init__(self, v_size: int, z_size: int, ridge: float) -> None:
        super().__init__()
        self.ridge = ridge
        v, z = v_size, z_size
        moments = {"seen": (), "v": (v,), "z": (z,), "vv": (v, v), "vz": (v, z)}
        for name, shape in {**moments, "centre": (v,), "slope": (v, z)}.items():
            self.register_buffer(name, torch.zeros(shape))

    def forward(self, v: Tensor) -> Tensor:
        """The prediction [B, Z] of mean z from v [B, V]. No gradient passes."""
        with torch.autocast(v.device.type, enabled=False):
            return (v.detach() - self.centre) @ self.slope

    @torch.no_grad()
    def learn(self, v: Tensor, z: Tensor) -> None:
        """Update with a batch: v [B, V] and the means of z over its clips [B, Z]."""
        self.seen += 1
        share = torch.clamp(1 / self.seen, min=SHARE)
        for name, new in zip(("v", "z", "vv", "vz"), _moments(v, z, share_all=True), strict=True):
            getattr(self, name).lerp_(new, share)
        self._solve(self.v, self.z, self.vv, self.vz)

    @torch.no_grad()
    def fit(self, v: Tensor, z: Tensor) -> None:
        """Fit clips [N, V] and [N, Z] exactly. The running moments do not change."""
        self._solve(*_moments(v, z))

    def _solve(self, v: Tensor, z: Tensor, vv: Tensor, vz: Tensor) -> None:
        ridge = self.ridge * torch.eye(len(v), device=v.device)
        squares, products = vv - torch.outer(v, v) + ridge, vz - torch.outer(v, z)
        self.centre.copy_(v)
        self.slope.copy_(torch.linalg.solve(squares, products))


def _moments(v: Tensor, z: Tensor, *, share_all: bool = False) -> list[Tensor]:
    """First and second moments of v [N, V] and z [N, Z]; `share_all`: over all processes."""
    v, z = v.float(), z.float()
    moments = [v, z, v[:, :, None] * v[:, None], v[:, :, None] * z[:, None]]
    moments = [each.mean(0) for each in moments]
    if share_all and distributed.is_available() and distributed.is_initialized():
        for each in moments:
            distributed.all_reduce(each)
            each /= distributed.get_world_size()
    return moments
