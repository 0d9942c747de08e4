"""Gaps of the embedded CloudWatch: statistics, metric math, alarms."""
