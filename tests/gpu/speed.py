"""Inference on two devices, a run by the launcher, and how fast steps and models are."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from core import registry
from core.audio.mel import log_mel
from core.checkpoints.card import export_run
from core.checkpoints.checkpoint import Checkpoint
from core.dsae import objective
from core.dsae.config import ModelConfig, ObjectiveConfig
from core.dsae.model import Dsae
from core.training import launcher
from core.training.run import Run
from tests.core.dsae.reference import ReferenceStep
from tests.gpu import cases

SECONDS = 20  # of sound, for real-time factors
SAME = 1e-3  # relative difference of an output from the CPU's
BATCH, FRAMES, MELS = 128, 251, 80  # the paper's
PATIENCE = 120  # seconds for a run of a few steps

Figures = Iterator[tuple[Any, ...]]


def inference(device: torch.device) -> Figures:
    """Encode, decode, separate, embed and vocode by the shipped models, and real-time factors."""
    generator = torch.Generator().manual_seed(0)
    time_axis = torch.arange(SECONDS * 16_000) / 16_000
    wave = 0.3 * torch.sin(2 * torch.pi * 440 * time_axis)
    wave = wave + 0.01 * torch.randn(len(wave), generator=generator)
    mel = log_mel(wave)

    def swap(model: Any) -> torch.Tensor:
        found = model.encode(mel)
        return model.decode(found.v, found.z)

    uses: dict[str, tuple[str, str, Callable[[Any], torch.Tensor]]] = {
        "encode and decode": ("dsae", "ts-dsae-players", swap),
        "separate": ("separation", "separator-scenes", lambda model: model.separate(wave)),
        "embed": ("contrastive", "scenes-encoder", lambda model: model.embed(wave)),
        "vocode": ("vocoder", "vocoder", lambda model: model.to_waveform(mel)),
    }
    for about, (system, name, use) in uses.items():
        load = registry.get(system).load
        wanted, model = use(load(name, "cpu")), load(name, str(device))
        found = use(model)  # the first call compiles kernels
        begun = time.monotonic()
        use(model)
        spent = time.monotonic() - begun
        if about == "vocode":  # the CPU computes it in bfloat16, and phases are free
            wanted, found = log_mel(wanted), log_mel(found)
            yield about, float((found - wanted).abs().mean()), 0.3
        else:
            yield about, float((found - wanted).norm() / wanted.norm()), SAME
        yield f"{about}: seconds of sound a second", SECONDS / max(spent, 1e-9)


def launched(device: torch.device, store: Path, folder: Path, run_steps: int = 400) -> Figures:
    """A run started as the lab starts it: its end, its device, its load and memory as the page
    shows them, and its checkpoint's scores beside those of the CPU."""
    values = cases.config(
        "ts-dsae", store, store, steps=run_steps, device=str(device), log_every=10
    )
    run = launcher.start(folder / "launched", values.model_dump())
    deadline = time.monotonic() + PATIENCE
    while run.state().get("state") in ("queued", "running") and time.monotonic() < deadline:
        time.sleep(0.2)
    state = run.state()
    yield "ended well", float(state.get("state") == "finished"), 1.0, True
    yield "on the device", float(state.get("device") == str(device)), 1.0, True
    if device.type == "cuda":
        for name in ("gpu_memory", "gpu_load"):
            figures = [r[name] for r in run.metrics("train") if name in r]
            yield name, max(figures) if figures else None, 0.0, True
    yield from _scored(run, store, folder)


def _scored(run: Run, store: Path, folder: Path) -> Figures:
    made = export_run(run.path, folder / "made")
    scores = []
    for hidden in ({}, {"CUDA_VISIBLE_DEVICES": ""}):
        words = [
            "evaluate",
            str(made.path),
            "--data",
            str(store),
            "--melodies",
            "0",
            "--draws",
            "0",
        ]
        subprocess.run(
            [sys.executable, "-m", "core", *words], env=os.environ | hidden, check=True,
            capture_output=True, timeout=PATIENCE,
        )  # fmt: skip
        scores.append(Checkpoint(made.path).metrics[store.name]["mse"]["value"])
    yield "evaluate: squared error", abs(scores[0] - scores[1]) / scores[1], SAME


def steps(device: torch.device, rounds: int = 20) -> Figures:
    """Steps a second of the paper's second stage, and of the authors' step written out."""
    x = torch.randn(BATCH, FRAMES, MELS, device=device)
    ours = Dsae(ModelConfig()).to(device)
    plain = Dsae(ModelConfig()).to(device)
    reference = ReferenceStep(plain)

    def own() -> torch.Tensor:
        terms = objective.losses(ours, x, None, ObjectiveConfig(), informed=True, swaps=True)
        return terms["loss"]

    def original() -> torch.Tensor:
        pairs = (torch.randperm(BATCH, device=device) for _ in range(2))
        return reference(x, *pairs)["loss"]

    def own_bf16() -> torch.Tensor:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return own()

    fused = device.type == "cuda"
    rates = {
        "this project, fp32": _rate(own, ours, device, fused, rounds),
        "this project, bf16": _rate(own_bf16, ours, device, fused, rounds),
        "plain transcription, fp32": _rate(original, plain, device, False, rounds),
    }
    for about, rate in rates.items():
        yield f"{about}: steps a second", rate
    ratio = rates["this project, fp32"] / rates["plain transcription, fp32"]
    yield "times the transcription's speed", ratio, 1.0, True


def _rate(
    loss: Callable[[], torch.Tensor],
    model: Dsae,
    device: torch.device,
    fused: bool,
    rounds: int = 20,
) -> float:
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad], fused=fused or None
    )
    begun = 0.0
    for number in range(rounds + 3):
        if number == 3:  # the first compile kernels
            _finish(device)
            begun = time.monotonic()
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()
    _finish(device)
    return rounds / (time.monotonic() - begun)


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
