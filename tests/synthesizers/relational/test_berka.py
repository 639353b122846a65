"""The Czech bank without its log: structure, couples, copies; figures beside real ones."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pytest

from understudy.data import Dataset
from understudy.data.integrity import check_integrity
from understudy.synthesizers.relational.engine import RelationalSynthesizer
