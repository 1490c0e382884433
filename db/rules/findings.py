"""Where the checks of one document write down what they find."""

from __future__ import annotations

from db.rules.records import Finding, Severity
from db.rules.yaml import Document, Path


class Findings:
    """The findings of one document, in the order of the checks."""

    def __init__(self, document: Document, number: int) -> None:
        self.all: list[Finding] = []
        self.rejecting = False  # whether one of them is an error
        self.ref: str | None = None  # the entity's, as soon as it is known
        self._document = document
        self._number = number

    def error(self, rule: str, path: Path, message: str, *, hint: str | None = None) -> None:
        """Reject the document for what stands, or is missing, at `path`."""
        self.rejecting = True
        self._add(rule, "ERROR", path, message, hint)

    def warning(self, rule: str, path: Path, message: str, *, hint: str | None = None) -> None:
        """Point at something odd that rejects nothing."""
        self._add(rule, "WARNING", path, message, hint)

    def _add(self, rule: str, severity: Severity, path: Path, message: str, hint: str | None) -> None:
        self.all.append(
            Finding(
                rule=rule,
                severity=severity,
                message=message,
                line=self._document.line_of(path),
                document=self._number,
                field=dotted(path) or None,
                hint=hint,
                ref=self.ref,
            )
        )


def dotted(path: Path) -> str:
    """`spec.dependsOn[2]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
