"""Rules that a dataset's rows must keep: counted in as few scans as possible, failing rows kept by rule and run."""

from thresher.check_outcomes import Checked, Outcome
from thresher.checks.checking import check
from thresher.checks.rules import Rule, read_rule

__all__ = ["Checked", "Outcome", "Rule", "check", "read_rule"]
