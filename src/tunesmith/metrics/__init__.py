"""Numbers to believe: metrics with intervals, paired comparison, calibration, baselines and a verdict in words."""
