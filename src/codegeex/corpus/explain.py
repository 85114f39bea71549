"""Why a file would be in the corpus or not."""

from __future__ import annotations

import math
from typing import Any

from codegeex import languages
from codegeex.corpus import filters, licences, secrets


def explain(text: str, path: str) -> dict[str, Any]:
    """What every rule says of a file by itself; whether it is a duplicate depends on the others.

    Returns:
        "taken", "reasons" (names of the rules that leave it out), "language" (key or None), "masked" (secrets by
        placeholder), and "rules": name, measured, taken_if and ok of each.
    """
    found = languages.for_path(path)
    told = filters.check_path(path)
    licence = licences.in_header(text)
    rules = [
        _row("language", found[0].name if found else "none", "known by the file's name", bool(found)),
        _row("path", told or "ordinary", "neither vendored nor built", told is None),
        _row("licence", licence or "not named", "permissive, if it is named", not licence or licences.allows(licence)),
    ]
    body = filters.strip_licence_header(text, found[0].key) if found else text
    for rule in filters.RULES:
        # Who made a file and under which licence stands in the header; everything else is asked of what is kept.
        asked = text if rule.high == 0 else body
        if rule.high == 0:
            measured, limit = ("yes" if rule.measure(asked) else "no"), "no"
        else:
            measured, limit = _number(rule.measure(asked), rule.unit), _limits(rule)
        rules.append(_row(rule.name, measured, limit, rule.takes(asked)))
    reasons = [rule["name"] for rule in rules if not rule["ok"]]
    return {
        "taken": not reasons,
        "reasons": reasons,
        "language": found[0].key if found else None,
        "masked": dict(secrets.mask(body)[1]),
        "rules": rules,
    }


def _row(name: str, measured: str, taken_if: str, ok: bool) -> dict[str, Any]:
    return {"name": name, "measured": measured, "taken_if": taken_if, "ok": ok}


def _number(value: float, unit: str) -> str:
    return f"{value:,.0f} {unit}" if unit else f"{value:.0%}"


def _limits(rule: filters.Rule) -> str:
    least = [f"at least {_number(rule.low, rule.unit)}"] if rule.low > -math.inf else []
    most = [f"at most {_number(rule.high, rule.unit)}"] if rule.high < math.inf else []
    return ", ".join(least + most)
