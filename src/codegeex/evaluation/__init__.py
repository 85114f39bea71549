"""HumanEval-X: samples from any model, verdicts from the sandbox, scores with their uncertainty, reports."""
