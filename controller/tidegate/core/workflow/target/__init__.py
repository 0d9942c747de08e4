"""One target: where it is, what its aliases serve, and what its stack is made from.

``context`` is where every task of a rollout acts. ``routing`` is the only place that writes an
alias. ``stack_spec`` makes a stack's parameters, ``stack_log`` follows CloudFormation, ``code``
compares what functions run with what was built.
"""
