"""The JSON Schemas of a policy: those that replies are held to."""

from __future__ import annotations

from collections.abc import Iterator

from hroute.router.analysis.subject import Diagnostic, Subject, finding


def replies(subject: Subject) -> Iterator[Diagnostic]:
    """HR012: a rule's `validate: {schema: ...}` that is no JSON Schema, or refers to what it does not hold."""
    from hroute.schema.reply_schema import schema_errors

    for rule in subject.policy.all_rules:
        if rule.validate is None or rule.validate.schema is None:
            continue
        for problem in schema_errors(dict(rule.validate.schema)):
            place = subject.place(rule, "validate.schema", "validate")
            yield finding("HR012", f"the JSON Schema of rule `{rule.name}` cannot be used: {problem}", place)
