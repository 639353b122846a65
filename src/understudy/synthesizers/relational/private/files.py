"""What a database learnt under a budget is made of, for `synthesizers.frozen`."""

from understudy.encoding.constraints import Reparametrisation
from understudy.encoding.discrete import GridAxis, LabelAxis, Line
from understudy.schema import Table
from understudy.synthesizers.relational.cells import Anchor, Cells
from understudy.synthesizers.relational.private.absent import Absent
from understudy.synthesizers.relational.private.events import Dist, PrivateEvents
from understudy.synthesizers.relational.private.flat import Flat
from understudy.synthesizers.relational.private.given import Given, Known
from understudy.synthesizers.relational.private.likeness import Likeness
from understudy.synthesizers.relational.private.tables import PrivateTable
from understudy.synthesizers.tabular.marginals.network import Network, Node

CLASSES = (
    Absent,
    Anchor,
    Cells,
    Dist,
    Flat,
    Given,
    GridAxis,
    Known,
    LabelAxis,
    Likeness,
    Line,
    Network,
    Node,
    PrivateEvents,
    PrivateTable,
    Reparametrisation,
    Table,
)
