"""Errors of analyses.

AnalysisError
├── AnalysisTransitionError   the analysis is not in a state from which it can go there
└── AnalysisTakenOverError    another attempt has taken the analysis on, or it has ended
"""


class AnalysisError(Exception):
    pass


class AnalysisTransitionError(AnalysisError):
    pass


class AnalysisTakenOverError(AnalysisError):
    pass
