"""Scores that others have published on HumanEval and HumanEval-X, per cent: pass@1, pass@10, pass@100."""

from __future__ import annotations

HUMANEVAL = {
    "Codex 12M": (2.00, 3.62, 8.58),
    "Codex 25M": (3.21, 7.10, 12.89),
    "Codex 42M": (5.06, 8.80, 15.55),
    "Codex 85M": (8.22, 12.81, 22.40),
    "CodeParrot 110M": (3.80, 6.57, 12.78),
    "PolyCoder 160M": (2.13, 3.35, 4.88),
}
"""Small models, in Python alone: Chen et al. 2021 (table 1), Xu et al. 2022 (table 3)."""

GENERATION: dict[str, dict[str, tuple[float, float, float]]] = {
    "GPT-J-6B": {
        "python": (11.10, 18.67, 30.98),
        "cpp": (7.54, 13.67, 30.16),
        "java": (7.86, 14.37, 32.96),
        "javascript": (8.99, 16.32, 33.77),
        "go": (4.01, 10.81, 23.70),
    },
    "GPT-NeoX-20B": {
        "python": (13.83, 22.72, 39.56),
        "cpp": (9.90, 18.99, 38.75),
        "java": (8.87, 19.55, 42.23),
        "javascript": (11.28, 20.78, 42.67),
        "go": (5.00, 15.70, 32.08),
    },
    "InCoder-6.7B": {
        "python": (16.41, 26.55, 43.95),
        "cpp": (9.50, 19.30, 36.10),
        "java": (9.05, 18.64, 40.05),
        "javascript": (12.98, 22.98, 43.34),
        "go": (8.68, 13.80, 28.31),
    },
    "CodeGen-Multi-6B": {
        "python": (19.41, 30.29, 49.63),
        "cpp": (11.44, 26.23, 45.44),
        "java": (15.17, 31.74, 49.40),
        "javascript": (15.41, 27.92, 51.80),
        "go": (9.98, 23.26, 41.01),
    },
    "CodeGen-Multi-16B": {
        "python": (19.22, 34.64, 55.17),
        "cpp": (18.05, 30.84, 50.90),
        "java": (14.95, 36.73, 60.62),
        "javascript": (18.40, 32.80, 56.48),
        "go": (13.03, 25.46, 48.77),
    },
    "CodeGeeX-13B": {
        "python": (22.89, 39.57, 60.92),
        "cpp": (17.06, 32.21, 51.00),
        "java": (20.04, 36.70, 58.42),
        "javascript": (17.59, 32.28, 56.33),
        "go": (14.43, 25.68, 47.14),
    },
}
"""HumanEval-X, read off the figures and tables of CodeGeeX (arXiv 2303.17568); the last digit of others may be off."""
