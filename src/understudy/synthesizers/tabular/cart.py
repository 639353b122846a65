"""One classification tree as plain arrays: grown by scikit-learn, kept and walked without it.

scikit-learn grows CART trees well; what is saved is four arrays, and walking is done by the same
compiled `Tree`, rebuilt from those arrays, so no pickle is ever opened.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
LEAF = -1


@dataclass(frozen=True)
class Cart:
    """`x[feature] <= threshold` goes left; children of a leaf are `LEAF`. All arrays: [nodes]."""

    left: NDArray[np.int32]
    right: NDArray[np.int32]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    width: int

    @property
    def nodes(self) -> int:
        return len(self.left)

    @cached_property
    def _walker(self) -> Any:
        from sklearn.tree._tree import Tree

        nodes = np.zeros(self.nodes, dtype=_node_dtype())
        leaf = self.left == LEAF
        nodes["left_child"], nodes["right_child"] = self.left, self.right
        nodes["feature"] = np.where(leaf, -2, self.feature)
        nodes["threshold"] = np.where(leaf, -2.0, self.threshold)
        walker = Tree(self.width, np.array([1], dtype=np.intp), 1)
        walker.__setstate__(
            {
                "max_depth": 0,
                "node_count": self.nodes,
                "nodes": nodes,
                "values": np.zeros((self.nodes, 1, 1)),
            }
        )
        return walker

    def apply(self, x: Floats) -> NDArray[np.intp]:
        """The leaf each row of `x` [n, width] lands in."""
        if self.nodes == 1:
            return np.zeros(len(x), dtype=np.intp)
        leaves: NDArray[np.intp] = self._walker.apply(x)
        return leaves

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_walker"}


def grow(x: Floats, classes: NDArray[np.int64], *, leaf: int, features: float, seed: int) -> Cart:
    """A Gini tree (Breiman et al. 1984) on `x` [n, p] with at least `leaf` rows a leaf.

    Each split looks at the share `features` of the predictors.
    """
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(
        min_samples_leaf=leaf, max_features=_at_least_one(features, x.shape[1]), random_state=seed
    )
    with warnings.catch_warnings():
        # Many classes on few rows: meant, the classes are quantile bins.
        warnings.filterwarnings("ignore", message="The number of unique classes")
        tree.fit(x, classes)
    found = tree.tree_
    return Cart(
        left=found.children_left.astype(np.int32),
        right=found.children_right.astype(np.int32),
        feature=np.maximum(found.feature, 0).astype(np.int32),
        threshold=found.threshold.astype(np.float64),
        width=x.shape[1],
    )


def stump(width: int) -> Cart:
    """The tree of one leaf."""
    only = np.array([LEAF], dtype=np.int32)
    return Cart(only, only, np.zeros(1, np.int32), np.zeros(1), width)


def _at_least_one(share: float, width: int) -> int:
    return max(1, int(np.ceil(share * width)))


@cache
def _node_dtype() -> Any:
    from sklearn.tree import DecisionTreeClassifier

    tiny = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
    return tiny.tree_.__getstate__()["nodes"].dtype
