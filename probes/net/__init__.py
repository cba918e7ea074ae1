"""The only place that opens sockets. What the far end does comes back as a value, never as an exception.

Nothing here judges: no rules, no ranking. Every address is shown to `permit` before a connection is made to it.
"""
