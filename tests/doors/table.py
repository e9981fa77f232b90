"""`docs/permissions.md`, which people write and read, as data."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "permissions.md"
WHERE = "docs/permissions.md"


@dataclass(frozen=True)
class Mark:
    """What a cell's word means: these statuses, and of a refusal its code."""

    word: str
    statuses: frozenset[int]
    code: str


@dataclass(frozen=True)
class Row:
    """`name` is the operation, and after a dot which request of it: `PUT alerts/{alert_id} · for a patient`."""

    name: str
    section: str
    cells: dict[str, str]

    @property
    def operation(self) -> str:
        return self.name.split(" · ")[0]


@dataclass(frozen=True)
class Table:
    columns: list[str]
    marks: dict[str, Mark]
    rows: list[Row]


def cells_of(line: str) -> list[str]:
    return [one.strip() for one in line.strip().strip("|").split("|")]


@cache
def table() -> Table:
    """The page. Raises AssertionError, with the line, for what cannot be read."""
    columns: list[str] = []
    marks: dict[str, Mark] = {}
    rows: list[Row] = []
    section, head = "", [""]
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            section = line[3:]
        if not line.startswith("|") or line.startswith("|-"):
            continue
        first, *rest = cells_of(line)
        if first in ("mark", "operation", "column"):
            head = [first, *rest]
            columns = columns or (rest if first == "operation" else [])
            assert first != "operation" or rest == columns, f"other columns than above: {line}"
        elif head[0] == "mark":
            status, code = rest[0], rest[1]
            marks[first] = Mark(first, frozenset(map(int, status.split(", "))), code.strip("`"))
        elif head[0] == "operation":
            assert len(rest) == len(columns), f"{len(rest)} cells for {len(columns)} columns: {line}"
            rows.append(Row(first.strip("`"), section, dict(zip(columns, rest, strict=True))))
    return Table(columns, marks, rows)


def line_to_add(operation: str, columns: list[str]) -> str:
    """What whoever adds an operation writes into the page, with every cell to be thought about."""
    return f"| `{operation}` | " + " | ".join("?" for _ in columns) + " |"
