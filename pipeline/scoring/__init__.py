"""Scores, calibration and abstention: pure functions of arrays."""
