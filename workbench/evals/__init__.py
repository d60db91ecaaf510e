"""Evaluators, experiments, statistics and the gate."""

from workbench.evals.evaluators import Score, evaluator, evaluators, score
from workbench.evals.experiments import Experiment, Report, Scored, create, experiment, experiments, report
from workbench.evals.gate import Check, Policy, Verdict, gate, policy
from workbench.evals.statistics import Rate, rate

__all__ = [
    "Check",
    "Experiment",
    "Policy",
    "Rate",
    "Report",
    "Score",
    "Scored",
    "Verdict",
    "create",
    "evaluator",
    "evaluators",
    "experiment",
    "experiments",
    "gate",
    "policy",
    "rate",
    "report",
    "score",
]
