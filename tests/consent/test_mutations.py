"""The decision taken apart: each condition is left out or turned, one at a time, and some named case must notice.

The mutants are made from the source, so that a new condition is tried without anybody's remembering it:
- a rule of `decide` is left out, or changes place with the next;
- an early answer of `decide` is never given, or always;
- one check of `_miss` always holds;
- one side of an `and` or an `or` is left out; one of `x if y else z` is always taken;
- one half of `a <= b < c` is left out; `<` becomes `<=` and so on, `==` becomes `!=`;
- one value of `in (None, x)` is left out; one moment of `_earliest` is left out;
- a basis, a reason, a record, an end or a content range is not told;
- a filter of a list is left out; `max` becomes `min`, `any` becomes `all`; `sorted` is left out.
"""

import ast
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from server.consent import decide as module
from tests.consent.cases import Decide, cases
from tests.support.served import sqlite_only

pytestmark = sqlite_only

SOURCE = Path(str(module.__file__)).read_text(encoding="utf-8")
TURNED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
}
OTHER = {"max": "min", "min": "max", "any": "all", "sorted": "list"}
Change = tuple[str, Callable[[], object]]


def changes(node: ast.AST) -> Iterator[Change]:
    """What may be done to this one node, in place: its words and the deed."""
    match node:
        case ast.BoolOp():
            yield from _sides(node)
        case ast.If() | ast.IfExp():
            for value in (True, False):
                yield f"{_text(node.test)} is {value}", partial(setattr, node, "test", ast.Constant(value))
        case ast.Compare():
            yield from _compared(node)
        case ast.Assign(value=ast.Tuple(elts=checks)) if _text(node.targets[0]) == "checks":
            for place, check in enumerate(checks):
                yield f"{_text(check)} holds", partial(_set, checks, place, ast.Constant(True))
        case ast.comprehension():
            for place, test in enumerate(node.ifs):
                yield f"whether or not {_text(test)}", partial(node.ifs.pop, place)
        case ast.Call(func=ast.Name() as name):
            yield from _called(node, name)


def _sides(node: ast.BoolOp) -> Iterator[Change]:
    nothing = isinstance(node.op, ast.And)
    for place, value in enumerate(node.values):
        yield f"without {_text(value)}", partial(_set, node.values, place, ast.Constant(nothing))
    if isinstance(node.op, ast.Or) and len(node.values) > 3:  # the rules of `decide`: first match wins
        for place in range(len(node.values) - 1):
            words = f"{_text(node.values[place + 1])} before {_text(node.values[place])}"
            yield words, partial(_swap, node.values, place)


def _compared(node: ast.Compare) -> Iterator[Change]:
    text = _text(node)
    for place, sign in enumerate(node.ops):
        if type(sign) in TURNED:
            turned = TURNED[type(sign)]
            yield f"{turned.__name__} in {text}", partial(_set, node.ops, place, turned())
    if len(node.ops) > 1:
        yield f"without the start of {text}", partial(_behead, node)
        yield f"without the end of {text}", partial(_cut, node)
    for among in node.comparators:
        if isinstance(among, ast.Tuple):
            for place, value in enumerate(among.elts):
                yield f"without {_text(value)} in {text}", partial(among.elts.pop, place)


def _called(node: ast.Call, name: ast.Name) -> Iterator[Change]:
    if name.id in OTHER:
        yield f"{OTHER[name.id]} for {_text(node)}", partial(_rename, node, name)
    if name.id == "_earliest":
        for place, value in enumerate(node.args):
            yield f"whenever {_text(value)}", partial(node.args.pop, place)
    if name.id == "Decision":
        for place, part in enumerate(node.keywords):
            if part.arg != "permit":
                yield f"untold: {_text(part)}", partial(node.keywords.pop, place)


def _behead(node: ast.Compare) -> None:
    node.left = node.comparators.pop(0)
    node.ops.pop(0)


def _cut(node: ast.Compare) -> None:
    node.comparators.pop()
    node.ops.pop()


def _set(values: list[Any], place: int, value: ast.AST) -> None:
    values[place] = value


def _swap(values: list[ast.expr], place: int) -> None:
    values[place], values[place + 1] = values[place + 1], values[place]


def _rename(node: ast.Call, name: ast.Name) -> None:
    name.id = OTHER[name.id]
    if name.id == "list":
        node.keywords.clear()


def _text(node: ast.AST) -> str:
    return ast.unparse(node)


def functions() -> ast.Module:
    """The decision's functions and constants; classes and imports stay those of the module itself."""
    tree = ast.parse(SOURCE)
    tree.body = [one for one in tree.body if not isinstance(one, ast.ClassDef | ast.Import | ast.ImportFrom)]
    return tree


def mutants() -> Iterator[tuple[str, ast.Module]]:
    """Each one change away from the source, in the order of the source."""
    original = functions()
    for position, node in enumerate(ast.walk(original)):
        for number, (words, _) in enumerate(changes(node)):
            mutant = functions()  # read anew: quicker than a copy
            _, change = list(changes(list(ast.walk(mutant))[position]))[number]
            change()
            yield f"line {getattr(node, 'lineno', 0)}: {words}", mutant


def built(tree: ast.Module) -> Decide:
    """The decision that this source would be, with the classes of the module itself."""
    made = ModuleType("mutant")
    vars(made).update(vars(module))
    exec(compile(ast.fix_missing_locations(tree), "mutant", "exec"), vars(made))
    found: Decide = made.decide
    return found


def notices(decide: Decide) -> bool:
    for put in cases():
        try:
            if not put.holds(decide):
                return True
        except Exception:  # noqa: BLE001 - whatever it raises, the case is red
            return True
    return False


def test_the_decision_itself_is_what_the_cases_say() -> None:
    assert not notices(built(functions()))


MUTANTS = list(mutants())


def test_the_decision_is_taken_apart_everywhere() -> None:
    """Each function gives mutants, so that none of them is out of reach."""
    touched = {words.split(":")[0] for words, _ in MUTANTS}
    spans = {
        one.name: {f"line {line}" for line in range(one.lineno, one.end_lineno + 1)}
        for one in functions().body
        if isinstance(one, ast.FunctionDef) and one.end_lineno
    }
    assert [name for name, lines in spans.items() if not lines & touched] == ["_id_of"]
    assert len(MUTANTS) >= 60


@pytest.mark.parametrize(("words", "tree"), MUTANTS, ids=[words for words, _ in MUTANTS])
def test_a_case_notices(words: str, tree: ast.Module) -> None:
    assert notices(built(tree)), f"no case of tests/vectors/consent notices: {words}"
