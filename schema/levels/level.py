"""What one edge reads for all objects of a level: its outline, and a statement for each shape of its arguments."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from graphql import GraphQLError

from schema.levels.asked import Asked
from schema.levels.edge import EdgeField
from schema.levels.outline import Outline, Survey
from schema.levels.statement import Statement
from schema.levels.tables import Answer

if TYPE_CHECKING:
    from schema.levels.execute import Run
    from schema.levels.plan import Field, Plan

# Of a statement, so many characters take as long to make as one field, and so many the memory of one.
CHARACTERS_OF_TIME, CHARACTERS_OF_MEMORY = 5, 100
MOST_SHAPES = 20  # statements of one level that are kept


class Question(NamedTuple):
    """A statement, and what each of its outlines asks."""

    statement: Statement
    asked: dict[Outline, Asked]


class Level:
    """An edge with all that comes along with it."""

    def __init__(self, plan: Plan, field: Field, edge: EdgeField) -> None:
        self._survey = Survey(plan, field, edge)
        self._constant: dict[Outline, Asked] = {}
        self._varying = self._survey.outlines
        self._statements: OrderedDict[Hashable, Statement] = OrderedDict()

    def ask(self, run: Run) -> Question:
        """The statement for what is asked, which has no keys yet. Raises GraphQLError, of which BadUserInput is one."""
        asked = self._asked(run)
        return Question(self._statement(run, asked), asked)

    async def read(self, run: Run, question: Question, keys: Sequence[list[Any]]) -> Answer:
        """The rows for the parents with these keys. Raises what the database does."""
        statement, asked = question
        rows = await run.reader.fetch(statement.text, statement.values(asked, keys), varying=statement.is_varying)
        columns = list(zip(*rows, strict=True)) or [()] * statement.width
        return Answer(statement, asked, columns, len(rows))

    @property
    def head(self) -> Outline:
        """The outline of the edge itself."""
        return self._survey.head

    def _asked(self, run: Run) -> dict[Outline, Asked]:
        """What each outline asks. One below the head whose arguments are wrong is left out: its own field says why."""
        asked = dict(self._constant)
        for outline in self._varying:
            try:
                asked[outline] = run.asked(outline.field, outline.edge)
            except GraphQLError:
                if outline is self.head:
                    raise
        if self._varying is self._survey.outlines:
            self._constant = {outline: one for outline, one in asked.items() if outline.field.is_constant}
            self._varying = [outline for outline in self._survey.outlines if outline not in self._constant]
        return asked

    def _statement(self, run: Run, asked: dict[Outline, Asked]) -> Statement:
        shape = tuple(asked[outline].shape if outline in asked else None for outline in self._varying)
        statement = self._statements.get(shape)
        if statement is None:
            # A plan pays for one statement of each level, and so for their number; others are on the run that asks.
            budget = run.budget if self._statements else run.plan.budget
            budget.check()
            statement = Statement(self._survey, asked)
            budget.charge(len(statement.text) // CHARACTERS_OF_TIME)
            self._keep(run.plan, shape, statement)
        else:
            self._statements.move_to_end(shape)
        return statement

    def _keep(self, plan: Plan, shape: Hashable, statement: Statement) -> None:
        if len(self._statements) == MOST_SHAPES:
            _, oldest = self._statements.popitem(last=False)
            plan.weight -= _weight(oldest)
        self._statements[shape] = statement
        plan.weight += _weight(statement)


def _weight(statement: Statement) -> int:
    """In fields."""
    return 1 + len(statement.text) // CHARACTERS_OF_MEMORY
