"""TLS on the wire: bytes to typed values and back, for sockets and for captures.

Nothing here performs I/O, reads a clock or draws randomness of its own; entropy is handed in. The one exception
every parser may raise is ``octets.WireError``.
"""
