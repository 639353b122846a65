"""What a private step costs beside a plain one, in CPU time and in memory.

    python -m benchmarks.dpsgd             both tables
    python -m benchmarks.dpsgd audit       what canaries prove, of sound and sabotaged trainings

Steps take turns in one process on one thread, so that a busy machine slows both alike; shown is the
median over rounds of process CPU time (all threads, so the noise's counts), optimizer included. The
private step is whole: secure coins, cryptographic noise, the ledger's session with its journal.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.measure import table
from understudy.privacy.answers import AnswerStore
from understudy.privacy.audit import Audit
from understudy.privacy.budget import Budget
from understudy.privacy.dpsgd import DPSGD, Batch, PrivacyPlan, Records
from understudy.privacy.ledger import Ledger
from understudy.privacy.sessions import LedgerSession, SeededSession

ROUNDS = 61
WARM_UP = 5
STEPS = 10_000
ROWS = 50_000


class Transformer(nn.Module):
    """Two layers over 16 tokens of a vocabulary of 512, width 64."""

    def __init__(self, tokens: int = 16, vocabulary: int = 512, width: int = 64) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(vocabulary, width), nn.Embedding(tokens, width)
        self.blocks = nn.Sequential(Block(width), Block(width))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary)

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1]).expand_as(ids)
        hidden: Tensor = self.blocks(self.token(ids) + self.place(places))
        logits: Tensor = self.head(self.norm(hidden))
        return logits


class Block(nn.Module):
    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(self.before(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.out(mixed)
        wide = F.gelu(self.wide(self.after(x)))
        result: Tensor = x + self.narrow(wide)
        return result


def mlp() -> tuple[nn.Module, tuple[Tensor, ...], Callable[[nn.Module, Batch], Tensor]]:
    sizes = (100, 256, 256, 100)
    layers: list[nn.Module] = []
    for d, p in pairwise(sizes):
        layers += [nn.Linear(d, p), nn.ReLU()]
    data = (torch.randn(ROWS, 100), torch.randn(ROWS, 100))

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        x, y = batch.tensors
        return F.mse_loss(net(x), y, reduction="none").mean(1)

    return nn.Sequential(*layers[:-1]), data, loss


def transformer() -> tuple[nn.Module, tuple[Tensor, ...], Callable[[nn.Module, Batch], Tensor]]:
    data = (torch.randint(0, 512, (ROWS, 16)), torch.randint(0, 512, (ROWS, 16)))

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        x, y = batch.tensors
        return (
            F.cross_entropy(net(x).flatten(0, 1), y.flatten(), reduction="none")
            .view(-1, 16)
            .mean(1)
        )

    return Transformer(), data, loss


MODELS = {"MLP 100-256-256-100": mlp, "transformer, 16 tokens": transformer}
CASES = (
    ("MLP 100-256-256-100", 1024, 1.25),
    ("MLP 100-256-256-100", 256, 1.45),
    ("transformer, 16 tokens", 256, 1.35),
)


def run() -> None:
    rows = []
    for name, size, target in CASES:
        plain, private = steps(name, size)
        spent: dict[str, list[float]] = {"plain": [], "private": []}
        for turn in range(WARM_UP + ROUNDS):
            for kind, step in (("plain", plain), ("private", private)):
                cost = cpu_of(step)
                if turn >= WARM_UP:
                    spent[kind].append(cost)
        base, dp = (1e3 * statistics.median(spent[k]) for k in ("plain", "private"))
        weights = 4 * sum(p.numel() for p in MODELS[name]()[0].parameters())
        # A vector of noise is made outside of torch, and becomes the gradient.
        more = (2 * weights + peak_of(private)) / (weights + peak_of(plain))
        rows.append([name, f"{size:,}", f"{base:.2f} ms", f"{dp:.2f} ms", f"{dp / base:.2f}",
                     f"<= {target}", f"{more:.2f}"])  # fmt: skip
    header = [
        "model",
        "batch",
        "plain",
        "private",
        "ratio",
        "target",
        "peak memory, ratio (<= 1.3)",
    ]
    table(f"DP-SGD beside plain SGD, median CPU time of {ROUNDS} rounds", header, rows)


def steps(name: str, size: int) -> tuple[Callable[[], None], Callable[[], None]]:
    """A plain step and a private one, each on a model of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net, data, loss = MODELS[name]()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    keys = np.zeros(size, np.uint64)

    def plain() -> None:
        index = torch.randint(0, ROWS, (size,))
        batch = Batch(0, tuple(t.index_select(0, index) for t in data), None, keys)
        optimizer.zero_grad()
        loss(net, batch).mean().backward()
        optimizer.step()

    private_net, _, _ = MODELS[name]()
    training = private_training(private_net, size)
    batches = training.batches(Records(*data))

    def private() -> None:
        training.step(next(batches), lambda batch: loss(private_net, batch))

    return plain, private


def private_training(net: nn.Module, size: int) -> DPSGD:
    folder = Path(tempfile.mkdtemp())
    plan = PrivacyPlan(size / ROWS, STEPS, 1.0, size)
    budget = Budget(100.0, 1e-6)
    ledger = Ledger(folder)
    ledger.cap("benchmark", "row", 100.0, "a benchmark on made-up rows")
    store = AnswerStore(folder / "run.sqlite")
    session = LedgerSession(budget, ledger, "benchmark", "row", "run", store)
    return DPSGD(net, torch.optim.SGD(net.parameters(), lr=0.01), plan, session)


def cpu_of(step: Callable[[], None]) -> float:
    started = time.process_time()
    step()
    return time.process_time() - started


def peak_of(step: Callable[[], None]) -> int:
    """The most bytes that torch took during a step beyond what it held before."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        step()
    held = peak = 0
    for event in watched.profiler.kineto_results.events():  # type: ignore[union-attr]
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


AUDITED = PrivacyPlan(rate=0.1, steps=150, sigma=1.5, expected_batch=20)
RUNS = 100


def run_audit() -> None:
    """How often sound and sabotaged trainings are called broken, at 1,000 canaries."""
    rows = []
    for name, sabotage in SABOTAGES.items():
        found = [audited(seed, sabotage) for seed in range(RUNS)]
        gaussian = statistics.median(audit.gaussian or 0.0 for audit in found)
        proven = statistics.median(audit.proven for audit in found)
        broken = sum(audit.broken for audit in found) / RUNS
        rows.append([name, f"{found[0].claim.epsilon:.2f}", f"{proven:.2f}", f"{gaussian:.2f}",
                     f"{broken:.0%}"])  # fmt: skip
    header = ["training", "claimed", "one-run bound", "shift bound", "called broken"]
    table(f"Canaries in {RUNS} trainings each, medians", header, rows)


def audited(seed: int, sabotage: Callable[[DPSGD], None]) -> Audit:
    torch.manual_seed(seed)
    net = nn.Linear(2, 1)
    session = SeededSession(Budget(100.0, 1e-5), seed)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with DPSGD(net, optimizer, AUDITED, session, canaries=1000) as training:
        sabotage(training)
        for batch in training.batches(Records(torch.randn(200, 2))):
            training.step(batch, lambda part: net(part.tensors[0])[:, 0].square())
        return training.audit()


def scaled_noise(factor: float) -> Callable[[DPSGD], None]:
    def sabotage(training: DPSGD) -> None:
        training._sums._noise._deviation *= factor  # type: ignore[attr-defined]

    return sabotage


def reused_noise(training: DPSGD) -> None:
    noise = training._sums._noise  # type: ignore[attr-defined]
    vector = noise._make()
    noise._make = vector.copy


def unclipped(training: DPSGD) -> None:
    training.plan = replace(AUDITED, clip=1e6, clipping="flat")


def twice_the_rate(training: DPSGD) -> None:
    training._paid.plan = replace(AUDITED, rate=2 * AUDITED.rate)


SABOTAGES: dict[str, Callable[[DPSGD], None]] = {
    "sound": scaled_noise(1.0),
    "no noise": scaled_noise(0.0),
    "half the noise": scaled_noise(0.5),
    "unclipped": unclipped,
    "the same noise each step": reused_noise,
    "twice the sampling rate": twice_the_rate,
}


if __name__ == "__main__":
    run_audit() if sys.argv[1:] == ["audit"] else run()
