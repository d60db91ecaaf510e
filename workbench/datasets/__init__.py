"""Datasets of cases, and the labelling that fills them."""

from workbench.datasets import labelling
from workbench.datasets.cases import (
    Case,
    Dataset,
    Expected,
    ExpectedTool,
    Version,
    case_of,
    cases,
    datasets,
    freeze,
    lines,
    new_id,
    put,
    questions,
    read,
    version,
    write,
)

__all__ = [
    "Case",
    "Dataset",
    "Expected",
    "ExpectedTool",
    "Version",
    "case_of",
    "cases",
    "datasets",
    "freeze",
    "labelling",
    "lines",
    "new_id",
    "put",
    "questions",
    "read",
    "version",
    "write",
]
