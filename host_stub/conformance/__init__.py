"""The conformance kit: tries an installed image plugin against each rule of the contract.

``host-stub conform NAME`` and ``pytest --pyargs host_stub.conformance --image NAME`` run the same
checks. An author imports :class:`Case` and :class:`Backend` from here, to bring settings and a
backend that can be told to misbehave, and the behaviours it is told from
:mod:`host_stub.conformance.behaviours`. No product code uses the kit but the command, and the kit
needs no test runner.
"""

from __future__ import annotations

from host_stub.conformance.case import Backend, Call, Case

__all__ = ["Backend", "Call", "Case"]
