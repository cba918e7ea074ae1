"""Servers broken on purpose, on loopback, one or more for each catalogue code; for the demo and the tests only.

lab = await start()                     # port 8443, an address of its own for each case
lab.case("expired.lab").target          # "expired.lab:8443"
lab.root_pem, lab.overrides, lab.allowed
await lab.close()
"""

from probes.lab.lab import Case, Lab, LeftOut, start

__all__ = ["Case", "Lab", "LeftOut", "start"]
