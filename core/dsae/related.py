"""Losses of related methods with the networks of TS-DSAE, so that only the objective differs.

FHVAE (Hsu, Zhang and Glass, NeurIPS 2017), R-WAE with the maximum mean discrepancy (Han et al.,
ICLR 2021), C-DSVAE (Bai et al., NeurIPS 2021) and S3-VAE (Zhu et al., CVPR 2020). What was defined
for video is carried over to sound: two halves of a clip share v, a random filter leaves z, and the
loudness of a frame is its auxiliary label. All have one stage.

Letters: B batch, T frames, M mels, V and Z sizes of the latents, S segments, K frames drawn.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from core.dsae.config import ObjectiveConfig
from core.dsae.layers import Gaussian, frame_mask
from core.dsae.model import Dsae
from core.dsae.objective import kl, kl_standard, losses, per_clip
from core.dsae.perturbation import filtered, random_filters
from core.training.similarity import gathered, nt_xent

DRAWN = 8  # frames of each clip that batch-wise estimates are computed on
SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # of the kernel, as in Wasserstein autoencoders
RIDGE = 1e-3

Losses = Callable[[Dsae, Tensor, Tensor | None, ObjectiveConfig], dict[str, Tensor]]


def fhvae(
    model: Dsae, x: Tensor, lengths: Tensor | None, config: ObjectiveConfig
) -> dict[str, Tensor]:
    """FHVAE's segment bound and discriminative term for log-mels x [B, T, M].

    Each segment has a v of its own, near the clip's mean of them, which here is not looked up in a
    table but its posterior mode given the segments (their equation for unseen sequences). The
    discriminative term is the log-probability of the clip, among those of the batch, given a
    segment's v. p(z) is the transition prior, as in the other methods.
    """
    batch, frames, mels = x.shape
    size = min(config.segment, max(1, frames // 2))
    count = frames // size
    whole = torch.full((batch,), count, device=x.device)
    if lengths is not None:
        whole = (lengths // size).clamp(1, count)
    segments = x[:, : count * size].reshape(batch * count, size, mels)
    q_v = model.global_encoder(segments)
    v = q_v.sample()
    q_z = model.local(segments, q_v, v)
    z = q_z.sample()
    rebuilt = model.decoder(z, v)

    def in_clips(values: Tensor) -> Tensor:
        return values.reshape(batch, -1, values.shape[-1])

    own = Gaussian(*map(in_clips, q_v))  # [B, S, V]
    centre = clip_centres(own.mean, whole, config.sequence_variance)
    around = Gaussian(
        centre[:, None].expand_as(own.mean),
        torch.full_like(own.mean, math.log(config.sequence_variance)),
    )
    posterior = Gaussian(*map(in_clips, q_z))
    of_frames = whole * size
    half = 0.5 if config.reduction == "elbo" else 1.0
    error = (in_clips(rebuilt) - x[:, : count * size]).square()
    terms = {
        "reconstruction": half * per_clip(error, of_frames, config.reduction),
        "kl_z": per_clip(kl(posterior, model.prior(in_clips(z))), of_frames, config.reduction),
        "kl_v": per_clip(kl(own, around), whole, config.reduction)
        + per_clip(0.5 * centre.square(), None, config.reduction),
    }
    bound = terms["reconstruction"] + config.kl_z * terms["kl_z"] + config.kl_v * terms["kl_v"]
    unlike = surprise(own.mean, centre, config.sequence_variance)[..., None]
    share = own.mean.shape[-1] if config.reduction == "mean" else 1
    terms["discriminative"] = per_clip(unlike, whole, config.reduction) / share
    total = bound + config.discriminative * terms["discriminative"]
    return {"loss": total, "elbo_loss": bound, **terms}


def clip_centres(means: Tensor, segments: Tensor, variance: float) -> Tensor:
    """The most probable mean [B, V] of each clip's v, given those of its segments [B, S, V].

    Its prior is N(0, I), and a segment's v is N(mean, `variance` I). `segments` [B]: how many of
    the S are the clip's.
    """
    mask = frame_mask(segments, means.shape[1])[..., None]
    return (means * mask).sum(1) / (segments[:, None] + variance)


def surprise(means: Tensor, centres: Tensor, variance: float) -> Tensor:
    """-log p(clip | v of a segment) [B, S], of means [B, S, V] among the clips' centres [B, V]."""
    distance = (means[:, :, None] - centres).square().sum(-1)  # [B, S, B]
    own = torch.arange(len(means), device=means.device)[:, None].expand(means.shape[:2])
    logits = -0.5 * distance / variance
    return F.cross_entropy(logits.flatten(0, 1), own.flatten(), reduction="none").view(own.shape)


def r_wae(
    model: Dsae, x: Tensor, lengths: Tensor | None, config: ObjectiveConfig
) -> dict[str, Tensor]:
    """R-WAE's reconstruction of log-mels x [B, T, M] and discrepancies of both latents.

    Those of v from N(0, I), and of z_t from the transition prior given the z before, averaged over
    frames.
    """
    q_v = model.global_encoder(x, lengths)
    v = q_v.sample()
    q_z = model.local(x, q_v, v, lengths)
    z = q_z.sample()
    drawn = model.prior(z).sample()
    rows = random_frames(x, lengths)
    found, wanted = (values.gather(1, expanded(rows, values)) for values in (z, drawn))
    half = 0.5 if config.reduction == "elbo" else 1.0
    error = per_clip((model.decoder(z, v, lengths) - x).square(), lengths, config.reduction)
    terms = {
        "reconstruction": half * error,
        "mmd_v": mmd(v[None], torch.randn_like(v)[None]).mean(),
        "mmd_z": mmd(found.transpose(0, 1), wanted.transpose(0, 1)).mean(),
    }
    # Only for the charts: R-WAE has no such term.
    with torch.no_grad():
        terms["kl_v"] = per_clip(kl_standard(q_v), None, config.reduction)
        terms["kl_z"] = per_clip(kl(q_z, model.prior(z)), lengths, config.reduction)
    total = terms["reconstruction"] + config.mmd_v * terms["mmd_v"] + config.mmd_z * terms["mmd_z"]
    return {"loss": total, "elbo_loss": total, **terms}


def mmd(a: Tensor, b: Tensor) -> Tensor:
    """Squared maximum mean discrepancies [K] of samples a from b, both [K, B, D], without bias.

    The kernel is the sum of inverse multiquadratics C / (C + distance²), C being 2 D times one of
    SCALES (Tolstikhin et al., ICLR 2018). With one sample it is 0.
    """
    count, size = a.shape[1:]
    if count < 2:
        return (a - b).sum(dim=(1, 2)) * 0
    both = torch.cat([a, b], dim=1)
    distance = (both[:, :, None] - both[:, None]).square().sum(-1)
    kernel = sum(2 * size * s / (2 * size * s + distance) for s in SCALES)
    assert isinstance(kernel, Tensor)
    of_a, of_b = kernel[:, :count, :count], kernel[:, count:, count:]
    across = kernel[:, :count, count:].mean(dim=(1, 2))
    pairs = count * (count - 1)
    # Without the diagonal, where the kernel is 1 for each scale.
    within = sum(part.sum(dim=(1, 2)) - count * len(SCALES) for part in (of_a, of_b)) / pairs
    return within - 2 * across


def c_dsvae(
    model: Dsae, x: Tensor, lengths: Tensor | None, config: ObjectiveConfig
) -> dict[str, Tensor]:
    """Equation 2, contrastive estimates of I(v; x) and I(z; x), and less of I(v; z).

    The positive of a clip's v is that of its other half, and of a frame's z that of the same frame
    through a random filter; the negatives are those of other clips and frames.
    """
    found = losses(model, x, lengths, config, informed=False, swaps=False)
    (first, second), q_v, q_z = _encoded(model, x, lengths)
    found["contrast_v"] = nt_xent(gathered(first.mean), gathered(second.mean), config.temperature)
    gains = random_filters(len(x), x.shape[2], x.device)
    other = filtered(x, gains, model.config.floor)
    again = model.local(other, q_v, q_v.mean, lengths)
    rows = random_frames(x, lengths)
    own, filtered_z = (q.mean.gather(1, expanded(rows, q.mean)).flatten(0, 1) for q in (q_z, again))
    found["contrast_z"] = nt_xent(own, filtered_z, config.temperature)
    found["information"] = shared_information(q_v, q_z, rows)
    found["loss"] = (
        found["loss"]
        + config.contrast * (found["contrast_v"] + found["contrast_z"])
        + config.information * found["information"]
    )
    return found


def s3_vae(
    model: Dsae, x: Tensor, lengths: Tensor | None, config: ObjectiveConfig
) -> dict[str, Tensor]:
    """Equation 2, a triplet loss on v, loudness predicted from z, and less of I(v; z).

    v of one half of a clip should be nearer to that of its other half than to that of another clip
    by `margin`. Loudness is predicted by the best linear function, in place of a network.
    """
    found = losses(model, x, lengths, config, informed=False, swaps=False)
    (first, second), q_v, q_z = _encoded(model, x, lengths)
    stranger = second.mean.roll(1, 0)
    found["triplet"] = F.triplet_margin_loss(
        first.mean, second.mean, stranger, margin=config.margin
    )
    rows = random_frames(x, lengths)
    loudness = x.logsumexp(2, keepdim=True).gather(1, rows[..., None])
    z = q_z.mean.gather(1, expanded(rows, q_z.mean))
    found["dynamics"] = unexplained(z.flatten(0, 1), loudness.flatten())
    found["information"] = shared_information(q_v, q_z, rows)
    found["loss"] = (
        found["loss"]
        + config.triplet * found["triplet"]
        + config.dynamics * found["dynamics"]
        + config.information * found["information"]
    )
    return found


def unexplained(z: Tensor, target: Tensor) -> Tensor:
    """The share of the variance of `target` [N] that no linear function of z [N, Z] explains."""
    z, target = z.float() - z.float().mean(0), target.float() - target.float().mean()
    gram = z.T @ z + RIDGE * len(z) * torch.eye(z.shape[1], device=z.device)
    weights = torch.linalg.solve(gram, z.T @ target)
    return (target - z @ weights).square().mean() / target.square().mean().clamp(min=1e-6)


def shared_information(q_v: Gaussian, q_z: Gaussian, rows: Tensor) -> Tensor:
    """An estimate of I(v; z_t) in nats, averaged over the frames `rows` [B, K], from the batch.

    Both densities are mixtures over the batch's posteriors (minibatch weighted sampling, Chen et
    al., NeurIPS 2018, as S3-VAE and C-DSVAE use it).
    """
    v, z = q_v.sample(), q_z.sample()
    of_v = log_density(v[:, None], q_v.mean, q_v.logvar)  # [B, B]: of v_i by q_j
    z, mean, logvar = (
        part.gather(1, expanded(rows, part)).transpose(0, 1) for part in (z, q_z.mean, q_z.logvar)
    )  # [K, B, Z]
    of_z = log_density(z[:, :, None], mean[:, None], logvar[:, None])  # [K, B, B]
    joint = (of_v + of_z).logsumexp(-1) - of_v.logsumexp(-1) - of_z.logsumexp(-1)
    return (joint + math.log(len(v))).mean()


def log_density(x: Tensor, mean: Tensor, logvar: Tensor) -> Tensor:
    """Of diagonal Gaussians at x, both [..., D], summed over D."""
    terms = (x - mean).square() * torch.exp(-logvar) + logvar + math.log(2 * math.pi)
    return -0.5 * terms.sum(-1)


def random_frames(x: Tensor, lengths: Tensor | None) -> Tensor:
    """Numbers [B, K] of frames of each clip, the same share of the way through each."""
    share = torch.rand(min(DRAWN, x.shape[1]), device=x.device)
    return (share * _ends(x, lengths)[:, None]).long().clamp(max=x.shape[1] - 1)


def expanded(rows: Tensor, values: Tensor) -> Tensor:
    """Frames [B, K] as an index into values [B, T, D]."""
    return rows[..., None].expand(-1, -1, values.shape[-1])


def halves(
    x: Tensor, lengths: Tensor | None
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The two halves of each clip of x [B, T, M], each with its lengths [B]."""
    ends = _ends(x, lengths)
    middle = (ends // 2).clamp(min=1)
    size = max(1, -(-x.shape[1] // 2))
    after = (middle[:, None] + torch.arange(size, device=x.device)).clamp(max=x.shape[1] - 1)
    second = x.gather(1, after[..., None].expand(-1, -1, x.shape[2]))
    return (x[:, :size], middle), (second, (ends - middle).clamp(min=1))


def _ends(x: Tensor, lengths: Tensor | None) -> Tensor:
    """How many frames [B] of x [B, T, M] are each clip's own."""
    return torch.full((len(x),), x.shape[1], device=x.device) if lengths is None else lengths


def _encoded(
    model: Dsae, x: Tensor, lengths: Tensor | None
) -> tuple[tuple[Gaussian, Gaussian], Gaussian, Gaussian]:
    """q(v) of both halves of each clip, and q(v) and q(z) of the clips."""
    one, other = halves(x, lengths)
    q_v = model.global_encoder(x, lengths)
    of_halves = model.global_encoder(*one), model.global_encoder(*other)
    return of_halves, q_v, model.local(x, q_v, q_v.mean, lengths)


LOSSES: dict[str, Losses] = {
    "fhvae": fhvae,
    "r-wae": r_wae,
    "c-dsvae": c_dsvae,
    "s3-vae": s3_vae,
}
