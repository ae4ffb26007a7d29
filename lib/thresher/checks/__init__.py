"""Rules that a dataset's rows must keep: counted in as few scans as possible, failing rows by rule."""

from thresher.checks.checking import Checked, Outcome, check
from thresher.checks.rules import Rule, read_rule

__all__ = ["Checked", "Outcome", "Rule", "check", "read_rule"]
