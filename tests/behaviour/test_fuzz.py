"""Fuzz: whatever Hypothesis makes up is ranked as plain code, scipy and scanpy do, and alike in every storage."""

from drawn import calls
from fuzz_checks import check_call
from hypothesis import HealthCheck, given, settings


@settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck), report_multiple_bugs=False)
@given(calls())
def test_whatever_is_fed(call):
    check_call(call)
