"""What the pelvis does while its owner runs, from one inertial sensor over the sacrum.

A pure core: no input, no output, no clock of its own. `pelvis.pipeline` is the
place to start reading; `pelvis.data` says what flows through it.
"""
