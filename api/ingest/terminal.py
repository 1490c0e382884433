"""What a person sees of a run: a bar while it reads, then what came of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from api.ingest.reader import Progress
from api.ingest.run import Changed, OnProgress, Phase, Report
from db.runs import Problem

_PHASES: dict[Phase, str] = {
    "waiting": "Waiting for another run of this source",
    "reading": "Reading",
    "writing": "Writing",
}
_SIGNS = {"CREATED": ("+", "green"), "UPDATED": ("~", "yellow"), "DELETED": ("-", "red")}
_SEVERITIES = {"ERROR": "red", "WARNING": "yellow"}
_QUERY = "{ problems(first: 100) { nodes { rule field message location line } } }"


@contextmanager
def progress_bar() -> Iterator[OnProgress]:
    """A bar on stderr, if that is a terminal; it is gone afterwards."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    with Bar(*columns, TimeElapsedColumn(), console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Reading", total=None)

        def update(phase: Phase, progress: Progress) -> None:
            bar.update(task, description=_PHASES[phase], completed=progress.done, total=progress.files or None)

        yield update


def show(report: Report, *, dry_run: bool) -> None:
    """Print what a run amounts to."""
    console = _console()
    console.print()
    console.print(Text(report.source, style="bold"), Text(f"  {report.seconds:.1f} s", style="dim"))
    for change in report.changes:
        console.print(_change_line(change))
    console.print(_counts(report))
    console.print(_verdict(report, dry_run=dry_run))
    for kind in report.kinds_without_entity:
        console.print(Text(f"No entity is of kind {kind}, which --kinds allows.", style="yellow"))
    if report.counts.problems:
        console.print()
        _show_problems(console, report)
    console.print()


def show_failure(source: str, error: str) -> None:
    """Say on stderr why a source has no report."""
    console = _console(stderr=True)
    console.print(Text.assemble((source, "bold"), "\n", (error, "red")))


def _console(*, stderr: bool = False) -> Console:
    """Plain text where it is no terminal; long lines stay whole, so that they can be searched."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def _counts(report: Report) -> Table:
    counts = report.counts
    entities = "entity" if counts.entities == 1 else "entities"
    rows = (
        (
            (_plural("document", counts.documents), counts.documents),
            *(("rejected", counts.rejected), ("skipped", counts.skipped)),
        ),
        ((entities, counts.entities), (_plural("problem", counts.problems), counts.problems)),
        (
            *(("added", counts.added), ("changed", counts.changed), ("removed", counts.removed)),
            ("unchanged", counts.unchanged),
        ),
    )
    table = Table.grid(padding=(0, 3))
    for row in rows:
        table.add_row(*(Text(f"{count:,} {name}", style="" if count else "dim") for name, count in row))
    return table


def _verdict(report: Report, *, dry_run: bool) -> Text:
    counts = report.counts
    if dry_run:
        said = ["A dry run: nothing was written."]
    elif counts.added or counts.changed or counts.removed:
        said = ["The catalog is up to date."]
    else:
        said = ["Nothing has changed."]
    if report.held:
        said.append("It would be held, for removing so much; --allow-removals lets it through.")
    if counts.rejected:
        were = "was" if counts.rejected == 1 else "were"
        said.append(f"{counts.rejected:,} {_plural('document', counts.rejected)} {were} rejected.")
    return Text(" ".join(said), style="yellow" if dry_run or counts.rejected else "green")


def _plural(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _change_line(change: Changed) -> Text:
    sign, style = _SIGNS[change.kind]
    return Text.assemble((f"{sign} {change.ref}", style), (f"  {' '.join(change.fields)}".rstrip(), "dim"))


def _show_problems(console: Console, report: Report) -> None:
    width = max((len(_place(problem)) for problem in report.problems), default=0)
    for problem in report.problems:
        place, rule = f"{_place(problem):{width}}  ", f"{problem.rule:20}  "
        console.print(Text.assemble((place, "bold"), (rule, _SEVERITIES.get(problem.severity, "")), _said(problem)))
    more = report.counts.problems - len(report.problems)
    if more:
        console.print(Text.assemble(f"and {more:,} more. By GraphQL: ", (_QUERY, "cyan")))


def _said(problem: Problem) -> str:
    """The message, after the field that it is about; some begin with that themselves."""
    if problem.field is None or problem.message.startswith(problem.field):
        return problem.message
    return f"{problem.field}: {problem.message}"


def _place(problem: Problem) -> str:
    return f"{problem.location}:{problem.line}"
