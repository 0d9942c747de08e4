"""One stack's rollout, in the order of the state machine.

``deploy`` with the aliases held (and ``finish`` in the end), ``warm``, ``shift`` (with ``probe``),
``restore``. ``restore_now`` and ``on_alarm`` wait for no state.
"""
