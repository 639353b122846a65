"""The network: a GRU over events, and for the next event one masked head a column.

The state after an event, joined by what is known before the next one, gives a sum that every token
of the event adds to as it becomes known; one block and a linear head turn the sum so far into the
distribution of the next token. So an event is drawn column by column, each given the whole history
and the columns before it, as in the any-order network of `tabular.autoregressive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from understudy.synthesizers.sequential.recurrent.gaps import PARTS

SMALL = 0.1
"""What the heads' first weights are scaled by."""
FAR = -1e9


@dataclass(frozen=True)
class Shape:
    """What the network is made for; `after_payees` and `after_words` are the first tokens that know
    what the last event with the same payee, and the last like event, said."""

    sizes: tuple[int, ...]
    gap_outputs: int
    single: int
    context: tuple[int, ...]
    before: int
    due: tuple[int, ...]
    payee_said: tuple[int, ...]
    like_said: tuple[int, ...]
    after_payees: int
    after_words: int
    width: int
    hidden: int
    dropout: float

    @property
    def heads(self) -> tuple[int, ...]:
        """Outputs of each token's head."""
        return (self.gap_outputs, *self.sizes[1:])


@dataclass(frozen=True)
class Batch:
    """Valid rows of some histories; [rows] unless said. Rows are those of `spot` [entities, time]
    that are not -1, in that order."""

    spot: Tensor
    previous: Tensor
    """[rows, tokens] of the event before, from 1 on; 0 before the first."""
    before: Tensor
    dated: Tensor
    """[rows, 3] places of the day before on the calendar."""
    due: Tensor
    """[rows, payees + categories] of what is due on the day of the event."""
    expected: Tensor
    """[rows, single] what is due on the days that follow."""
    then: Tensor
    """[rows, 3] places of the day of the event."""
    coming: Tensor
    """[rows, single, 3] places of the days that follow."""
    beyond: Tensor
    """bool [rows, codes] of the gap: what lies beyond the window, and the end."""
    tokens: Tensor
    learnt: Tensor
    low: Tensor
    high: Tensor
    payee_said: Tensor
    like_said: Tensor


class Network(nn.Module):
    """See the module's docstring. Rows [n] are in the order of a batch."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width, hidden = shape.width, shape.hidden
        self.context = Bags(shape.context, hidden)
        self.inward = Bags([size + 1 for size in shape.sizes], width)
        self.dated = nn.Embedding(sum(PARTS), width)
        self.before = nn.Linear(shape.before, width)
        self.steady = nn.Linear(hidden, width)
        self.begin = nn.Linear(hidden, hidden)
        self.gru = nn.GRU(width, hidden, batch_first=True)
        self.outward = nn.Linear(hidden, hidden)
        self.now = nn.Linear(shape.before, hidden)
        self.place = nn.Embedding(len(shape.sizes), hidden)
        self.inside = Bags(shape.sizes, hidden)
        self.then = nn.Embedding(sum(PARTS), hidden)
        self.due = Bags([size + 1 for size in shape.due], hidden)
        self.payee_said = Bags([size + 1 for size in shape.payee_said], hidden)
        self.like_said = Bags([size + 1 for size in shape.like_said], hidden)
        self.norm = nn.LayerNorm(hidden)
        self.inner = nn.Linear(hidden, hidden)
        self.outer = nn.Linear(hidden, hidden)
        self.last = nn.LayerNorm(hidden)
        self.forgets = nn.Dropout(shape.dropout)
        self.heads = nn.Linear(hidden, sum(shape.heads))
        with torch.no_grad():
            self.heads.weight.mul_(SMALL)
            for table in (self.dated, self.then, self.place):
                table.weight.mul_(0.3)

    def start(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """int [entities, tokens] to the first state and what stays [entities, width]."""
        known = self.context.total(context)
        return torch.tanh(self.begin(known)), self.steady(known)

    def losses(self, batch: Batch, state: Tensor, steady: Tensor) -> tuple[Tensor, Tensor]:
        """float [rows]: what each row's tokens cost in nats; and the state [entities, hidden]
        after the last."""
        valid = batch.spot >= 0
        x = self.inward.total(batch.previous) + self.before(batch.before)
        if self.shape.single:
            x = x + self.dated(batch.dated).sum(1)
        padded = x.new_zeros(*valid.shape, x.shape[1])
        padded[valid] = x
        seen, after = self.gru(padded + steady[:, None], state[None])
        sums = self.sums(self.forgets(seen[valid]), batch)
        logits = self.trunk(sums)
        found = self._gap_losses(self.head(logits[:, 0], 0), batch)
        for token in range(1, len(self.shape.sizes)):
            row = torch.nonzero(batch.learnt[:, token])[:, 0]
            told = self.head(logits[row, token], token)
            code = torch.arange(told.shape[1])
            out = (code < batch.low[row, token, None]) | (code >= batch.high[row, token, None])
            told = told.masked_fill(out, FAR)
            each = nn.functional.cross_entropy(told, batch.tokens[row, token], reduction="none")
            found = found.index_add(0, row, each)
        return found, after[0]

    def sums(self, seen: Tensor, batch: Batch) -> Tensor:
        """float [rows, tokens, hidden]: what is known before each token."""
        own = self.inside(batch.tokens)
        own = torch.cat((torch.zeros_like(own[:, :1]), own[:, :-1]), 1)
        if self.shape.single and own.shape[1] > 1:
            own[:, 1] += self.then(batch.then).sum(1) + self.due.total(batch.due)
        if self.shape.payee_said and self.shape.after_payees < own.shape[1]:
            own[:, self.shape.after_payees] += self.payee_said.total(batch.payee_said)
        if self.shape.like_said and self.shape.after_words < own.shape[1]:
            own[:, self.shape.after_words] += self.like_said.total(batch.like_said)
        begin = self.outward(seen) + self.now(batch.before)
        found: Tensor = begin[:, None] + own.cumsum(1) + self.place.weight
        return found

    def trunk(self, x: Tensor) -> Tensor:
        """What the heads read, of the shape of `x`."""
        x = x + self.outer(torch.relu(self.inner(self.norm(x))))
        return torch.relu(self.last(x))

    def head(self, x: Tensor, token: int) -> Tensor:
        """Logits of one token."""
        first = sum(self.shape.heads[:token])
        place = slice(first, first + self.shape.heads[token])
        return nn.functional.linear(x, self.heads.weight[place], self.heads.bias[place])

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """The parameters by name."""
        state = self.state_dict()
        return {name: value.detach().cpu().float().numpy().copy() for name, value in state.items()}

    def _gap_losses(self, told: Tensor, batch: Batch) -> Tensor:
        codes = batch.beyond.shape[1]
        logits, calendar = told[:, :codes], told[:, codes:]
        single = self.shape.single
        if single:
            days = calendar.gather(1, batch.coming.flatten(1)).view(len(told), single, 3).sum(2)
            days = days + calendar[:, -1:] * batch.expected
            logits = torch.cat((logits[:, :single] + days, logits[:, single:]), 1)
        whole = logits.logsumexp(1)
        own = logits.gather(1, batch.tokens[:, :1])[:, 0]
        ended = logits.masked_fill(~batch.beyond, FAR).logsumexp(1)
        return whole - torch.where(batch.tokens[:, 0] == codes - 1, ended, own)


class Bags(nn.Module):
    """One embedding for each of several tokens."""

    first: Tensor

    def __init__(self, sizes: Sequence[int], width: int) -> None:
        super().__init__()
        first = np.cumsum([0, *sizes])[:-1].astype(np.int64)
        self.register_buffer("first", torch.from_numpy(first), persistent=False)
        self.table = nn.Embedding(max(sum(sizes), 1), width)
        with torch.no_grad():
            self.table.weight.mul_(max(len(sizes), 1) ** -0.5)

    def forward(self, codes: Tensor) -> Tensor:
        """[rows, tokens, width]."""
        found: Tensor = self.table(codes + self.first)
        return found

    def total(self, codes: Tensor) -> Tensor:
        """[rows, width]."""
        found: Tensor = self(codes).sum(1)
        return found
