"""What v tells of the local latents, so that it can be taken off them.

A linear probe that is given the mean of z over a clip finds the instrument there even if a swap
does not: the smallest offset is enough. v knows the instrument, without a label. So what v tells of
that mean, by linear regression, is subtracted from all the clip's z; what is left is uncorrelated
with v, and a linear probe that looks for what v carries finds nothing (least squares then has no
slope, as in concept erasure, Belrose et al. 2023).
"""

import torch
from torch import Tensor, distributed, nn

SHARE = 0.005  # weight of a new batch in the running moments, once there are 1 / SHARE


class Regression(nn.Module):
    """A ridge regression from v [V] to the mean of z over a clip [Z].

    While training it follows running moments of the batches; `fit` makes it exact. `ridge` is a
    variance: what a dimension of v tells that varies less is left in z.
    """

    def __init__(self, v_size: int, z_size: int, ridge: float) -> None:
        super().__init__()
        self.ridge = ridge
        v, z = v_size, z_size
        shapes = {"seen": (), "v": (v,), "z": (z,), "vv": (v, v), "vz": (v, z)}  # running moments
        for name, shape in {**shapes, "centre": (v,), "slope": (v, z)}.items():
            self.register_buffer(name, torch.zeros(shape))

    def forward(self, v: Tensor) -> Tensor:
        """v [B, V] to what it tells of z, [B, Z]. No gradient goes through it."""
        with torch.autocast(v.device.type, enabled=False):
            return (v.detach() - self.centre) @ self.slope

    @torch.no_grad()
    def learn(self, v: Tensor, z: Tensor) -> None:
        """Take in a batch: v [B, V] and the means of z over its clips [B, Z]."""
        self.seen += 1
        share = torch.clamp(1 / self.seen, min=SHARE)
        for name, new in zip(("v", "z", "vv", "vz"), _moments(v, z, share_all=True), strict=True):
            getattr(self, name).lerp_(new, share)
        self._solve(self.v, self.z, self.vv, self.vz)

    @torch.no_grad()
    def fit(self, v: Tensor, z: Tensor) -> None:
        """Be exact for clips [N, V] and [N, Z]. The running moments are left as they are."""
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
