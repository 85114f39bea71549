"""The OpenAPI document tells the truth: schemathesis sends what it allows and what it forbids."""

import hypothesis
import pytest

schemathesis = pytest.importorskip("schemathesis")
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402


@pytest.mark.parametrize("mode", ["positive", "negative"])
def test_the_document_tells_the_truth(server, mode):
    document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    tried = 0
    for found in document.get_all_operations():
        operation = found.ok()
        if mode == "negative" and operation.method == "get":
            continue  # nothing to get wrong

        @hypothesis.settings(
            max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=schemathesis.GenerationMode(mode)))
        def check(case):
            # Answers of any length are right; short ones are quick.
            if isinstance(case.body, dict):
                for name, most in (("max_tokens", 2), ("n_predict", 2), ("n", 3), ("best_of", 3)):
                    if isinstance(case.body.get(name), int):
                        case.body[name] = min(case.body[name], most)
                if isinstance(case.body.get("timeout"), (int, float)):  # whether there is time enough is luck
                    case.body["timeout"] = max(case.body["timeout"], 30)
            # What is impossible together, as best_of below n, no schema can say.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        check()
        tried += 1
    assert tried >= 7
