"""What an adversary would try against the synthetic data, and how sure we can be of the answer."""

from understudy.attacks.battery import Battery, attack

__all__ = ["Battery", "attack"]
