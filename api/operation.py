"""From the text of a document to an operation that may be run, and its run."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    TokenKind,
    execute,
    parse,
    specified_rules,
    validate,
)
from graphql.validation.rules import overlapping_fields_can_be_merged
from strawberry.schema.validation_rules.maybe_null import MaybeNullValidationRule
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from schema.errors import BadUserInput, OperationNotFound, ParseFailed, TokenLimit, ValidationFailed

# Strawberry's own two, beside those of the specification, as its own endpoint has them.
_RULES = (*specified_rules, MaybeNullValidationRule, OneOfInputValidationRule)

# How many pairs of fields of one name graphql-core compares before it gives up. A page has hundreds; this many take a
# tenth of a second.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 30_000
_ABORTED = GraphQLError("The document repeats fields so often that it takes too long to check; ask for each field once")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a document that fits the schema. Nothing in it depends on a request's variables."""

    document: DocumentNode
    definition: OperationDefinitionNode

    @property
    def name(self) -> str | None:
        """The name that the document gives it."""
        return self.definition.name.value if self.definition.name else None

    @property
    def type(self) -> OperationType:
        """Query, mutation or subscription."""
        return self.definition.operation


def prepare(schema: strawberry.Schema, text: str, name: str | None, *, token_limit: int) -> Operation:
    """The operation called `name` in `text`, or its only one.

    Nesting is bounded by graphql-core itself, at 200 selection sets. Raises ParseFailed, TokenLimit, BadUserInput,
    ValidationFailed or OperationNotFound.
    """
    document = _parse(text, token_limit)
    _refuse_nul(document)
    if errors := validate(schema._schema, document, _RULES):  # noqa: SLF001 - Strawberry has no other door to it
        raise ValidationFailed([_ABORTED if error.message == "Validation aborted." else error for error in errors])
    return Operation(document, _select(document, name))


def run(
    schema: strawberry.Schema, operation: Operation, variables: dict[str, Any], context: object
) -> Awaitable[ExecutionResult] | ExecutionResult:
    """Start the operation under graphql-core, as Strawberry itself does."""
    return execute(
        schema._schema,  # noqa: SLF001
        operation.document,
        variable_values=variables,
        operation_name=operation.name,
        context_value=context,
        executor_class=schema.execution_context_class,
        operation_extensions=None,
    )


def _parse(text: str, token_limit: int) -> DocumentNode:
    try:
        return parse(text, max_lexical_tokens=token_limit, max_comments=token_limit)
    except GraphQLSyntaxError as error:
        too_many = error.description.startswith("Document contains more than")
        raise (TokenLimit if too_many else ParseFailed)([error]) from None


def _select(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is not None:
        operations = [node for node in operations if node.name and node.name.value == name]
    match operations:
        case [operation]:
            return operation
        case [] if name is not None:
            raise OperationNotFound(f"The document has no operation named {name!r}")
        case []:
            raise OperationNotFound("The document has no operation")
    raise OperationNotFound("The document has several operations: say which one in 'operationName'")


def _refuse_nul(document: DocumentNode) -> None:
    """Postgres cannot store NUL in a text, so no argument may bring one."""
    token = document.loc.start_token if document.loc else None
    while token:
        if token.kind in {TokenKind.STRING, TokenKind.BLOCK_STRING} and "\0" in (token.value or ""):
            raise BadUserInput("A string in the document holds the character NUL, which no text may hold")
        token = token.next
