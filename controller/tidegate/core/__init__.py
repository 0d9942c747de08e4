"""The pure core: decisions as functions of data and a clock. No boto3, environment or logging here.

A release is read (``model.manifest``), planned (``template``, ``planning``, ``model.plan``), and
agreed to (``approval``). A rollout is observed (``ports``), judged (``analysis``), decided upon
(``decision``), acted on (``workflow``) and recorded (``model.record``); people read it in
``insight``. Each room imports only what stands below it: ``tests/unit/test_layers.py`` says what.
"""
