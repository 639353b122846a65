"""What an adversary would try against the synthetic data, and how sure we can be of the answer."""

from understudy.attacks.battery import Battery, attack
from understudy.attacks.databases import attack_database

__all__ = ["Battery", "attack", "attack_database"]
