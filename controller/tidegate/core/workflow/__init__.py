"""The use cases: what each state of the machines does, over ports. Every one may be repeated.

A task reads the record and the world, finds out what is left to do, records what it intends, does
it, and records that it is done; so a crash between any two calls costs a repeat and nothing else.

``release`` and ``stage`` surround the ``rollout`` of each ``target`` and its ``hooks``; an
``operator`` steers them, the ``guardian`` ends what they left. All of them share ``records``,
``events``, ``task_tokens`` and ``notify``.
"""
