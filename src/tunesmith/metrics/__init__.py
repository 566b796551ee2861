"""Numbers to believe: metrics with intervals, comparisons, calibration, baselines, a verdict in words."""
