"""CloudFormation: ministack's engine, and what it lacks.

``engine`` adds resource types, change sets that compute what changes, conditions and rollbacks as
AWS has them; ``templates`` refuses what AWS refuses, in its words.
"""
