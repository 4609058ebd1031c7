"""What each command prints with ``--json``, as types; docs/reference/cli-json has the JSON Schema of each.

A time is in ISO 8601 with its zone, an age in seconds. ``remedy`` is a command to type; ``detail``, ``meaning``,
``help``, ``next`` and ``fix`` are words for people: a program needs none of them.
Type checkers and the generator of the schemas import these modules; no command does.
"""
