"""The fitted distribution over codes: draws rows, and conditions them exactly.

A row's class is drawn first, then column by column a group given class and the parents' groups,
then a code within the group. Draws are systematic within equal contexts, so every count is within
one of its expectation (Madow 1949) and sampling adds next to no error to the tables.

A condition is a share of each code that it admits. Messages from the last column to the first give
the probability that all later columns meet it (variable elimination; parents of a column are
neighbours, so messages stay within cliques), and every table is reweighted by them. Rows then come
from the conditional distribution itself, none is thrown away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from understudy.encoding.discrete import Codes
from understudy.synthesizers.tabular.marginals.tables import TINY, Cells, Floats, total_by


@dataclass(frozen=True)
class Node:
    """One column: its parents, the group of each code, the table [class, parents..., group] of
    conditional probabilities, and `codes` [class, code], how the codes of a group share it."""

    parents: tuple[str, ...]
    groups: Cells
    table: Floats
    codes: Floats


@dataclass(frozen=True)
class Network:
    """`nodes` in drawing order; the target, if any, has a class for each of its codes and `shares`
    [code]."""

    target: str | None
    of_code: Cells
    shares: Floats
    nodes: Mapping[str, Node]

    @property
    def classes(self) -> Floats:
        """float64[class]: the share of each class."""
        counts = total_by(self.of_code, self.shares)
        return counts / max(float(counts.sum()), TINY)

    def draw(self, rows: int, rng: np.random.Generator) -> dict[str, Codes]:
        """Codes of every column for `rows` rows."""
        of_class = systematic(self.classes[None], np.zeros(rows, np.intp), rng)
        return self._drawn(of_class, None, rng)

    def draw_given(self, target: Codes, rng: np.random.Generator) -> dict[str, Codes]:
        """The same for rows whose code of the target is known, int [rows]."""
        return self._drawn(self.of_code[target], target, rng)

    def _drawn(
        self, of_class: Codes, target: Codes | None, rng: np.random.Generator
    ) -> dict[str, Codes]:
        found: dict[str, Codes] = {}
        if self.target is not None and target is not None:
            found[self.target] = _compact(target, len(self.of_code))
        elif self.target is not None:
            number = len(self.classes)
            shares = np.zeros((number, len(self.of_code)))
            shares[self.of_code, np.arange(len(self.of_code))] = self.shares
            found[self.target] = _compact(systematic(shares, of_class, rng), shares.shape[1])
        group: dict[str, Codes] = {}
        for name, node in self.nodes.items():
            context = of_class
            for parent, size in zip(node.parents, node.table.shape[1:-1], strict=True):
                context = context * size + group[parent]
            size = node.table.shape[-1]
            group[name] = systematic(node.table.reshape(-1, size), context, rng)
            found[name] = _compact(_codes_in(node, of_class, group[name], rng), len(node.groups))
        return found

    def given(self, admitted: Mapping[str, Floats]) -> tuple[Network, float]:
        """The network under conditions, and their probability.

        `admitted` gives for some columns the share of each code that meets the condition.
        """
        if not admitted:
            return self, 1.0
        shares: Floats = self.shares / float(self.shares.sum())
        if self.target is not None and self.target in admitted:
            shares = shares * admitted[self.target]
        messages: dict[str, list[tuple[tuple[str, ...], Floats]]] = {n: [] for n in self.nodes}
        by_class: Floats = np.ones(len(self.classes))
        nodes: dict[str, Node] = {}
        order = {name: i for i, name in enumerate(self.nodes)}
        for name in reversed(list(self.nodes)):
            node = self.nodes[name]
            codes, met = _admitting(node, admitted.get(name))
            table = node.table * _along(met, node.table.ndim)
            for axes, message in messages[name]:
                table = table * _spread(message, axes, (*node.parents, name))
            mass = table.sum(-1)
            nodes[name] = replace(node, table=table, codes=codes)
            if node.parents:
                last = max(node.parents, key=order.__getitem__)
                messages[last].append((node.parents, mass))
            else:
                by_class = by_class * mass
        shares = shares * by_class[self.of_code]
        found = {name: nodes[name] for name in self.nodes}
        return replace(self, shares=shares, nodes=found), float(shares.sum())

    def shares_of(self, name: str) -> Floats:
        """float64[code]: how a column is distributed, by itself."""
        if name == self.target:
            return np.asarray(self.shares / self.shares.sum())
        marginal = self.classes @ _normal(self.nodes[name].codes)
        return np.asarray(marginal / marginal.sum())


def systematic(table: Floats, context: Codes, rng: np.random.Generator) -> Codes:
    """int[n]: a column of `table` for each row, by the weights in the row `context` of `table`.

    Rows of one context share evenly spaced ticks in random order. A context without weight is drawn
    evenly.
    """
    contexts, size = table.shape
    if size == 1:
        return np.zeros(len(context), np.intp)
    shuffled = rng.permutation(len(context))
    order = shuffled[np.argsort(_compact(context, contexts)[shuffled], kind="stable")]
    sorted_context = context[order]
    count = np.bincount(context, minlength=contexts)
    start = np.cumsum(count) - count
    nth = np.arange(len(context)) - start[sorted_context]
    tick = (nth + rng.random((contexts,))[sorted_context]) / count[sorted_context]
    edges = np.cumsum(table, axis=1)
    total = edges[:, -1:]
    even = np.arange(1, size + 1) / size
    edges = np.where(total > 0, edges / np.where(total > 0, total, 1.0), even)
    last = size - 1 - np.argmax(table[:, ::-1] > 0, axis=1)
    edges[np.arange(size) >= last[:, None]] = 1.0
    flat = (edges + np.arange(contexts)[:, None]).ravel()
    tick = np.minimum(tick, 1.0 - 1e-12)
    place = np.searchsorted(flat, sorted_context + tick, side="right")
    drawn = np.empty(len(context), np.intp)
    drawn[order] = np.minimum(place - sorted_context * size, last[sorted_context])
    return drawn


def _compact(codes: Codes, size: int) -> Codes:
    """Codes below `size` in as few bytes as they need; two bytes are also sorted by radix."""
    return codes.astype(np.min_scalar_type(size))


def _codes_in(node: Node, of_class: Codes, group: Codes, rng: np.random.Generator) -> Codes:
    """A code of each row's group, by the class's shares."""
    classes, size = node.codes.shape
    groups = node.table.shape[-1]
    if groups == size:
        back = np.empty(size, np.intp)
        back[node.groups] = np.arange(size)
        return back[group]
    # Codes sorted by group lie together, so one cumulative sum per class serves all its groups.
    order = np.argsort(node.groups, kind="stable")
    weight = np.maximum(node.codes[:, order], 0.0)
    first = np.searchsorted(node.groups[order], np.arange(groups))
    after = np.append(first[1:], size)
    widest = int((after - first).max())
    table = np.zeros((classes * groups, widest))
    rank = np.arange(size) - first[node.groups[order]]
    for one in range(classes):
        table[one * groups + node.groups[order], rank] = weight[one]
    drawn = systematic(table, of_class * groups + group, rng)
    codes: Codes = order[np.minimum(first[group] + drawn, after[group] - 1)]
    return codes


def _admitting(node: Node, admitted: Floats | None) -> tuple[Floats, Floats]:
    """`codes` reweighted, and [class, group]: the share of each group that meets the condition."""
    size = node.table.shape[-1]
    if admitted is None:
        return node.codes, np.ones((len(node.codes), size))
    weight = node.codes * admitted
    held = np.stack([total_by(node.groups, part, size) for part in node.codes])
    met = np.stack([total_by(node.groups, part, size) for part in weight])
    return weight, met / np.maximum(held, TINY)


def _along(met: Floats, ndim: int) -> Floats:
    """[class, group] as a factor of [class, parents..., group]."""
    return met.reshape(met.shape[0], *(1,) * (ndim - 2), met.shape[1])


def _spread(message: Floats, axes: tuple[str, ...], members: tuple[str, ...]) -> Floats:
    """A message over `axes` as a factor of a table over `members`, the class first in both."""
    places = [members.index(axis) for axis in axes]
    order = np.argsort(places)
    turned = message.transpose(0, *(1 + order))
    shape = [message.shape[0]] + [1] * len(members)
    for place, size in zip(sorted(places), turned.shape[1:], strict=True):
        shape[1 + place] = size
    return np.asarray(turned.reshape(shape))


def _normal(codes: Floats) -> Floats:
    total: Floats = codes.sum(1, keepdims=True)
    return codes / np.maximum(total, TINY)
