"""The pure core: decisions as functions of data and a clock.

No boto3, no environment, no logging here.
"""
