"""Reports: pure functions of recorded verdicts."""
