"""Every case of the lab, family by family: data. The order is that of the welcome list."""

from probes.lab.cases import balancer, chain, healthy, mtls, negotiation, reach, resumption, revocation, sni, validity
from probes.lab.spec import Spec

SPECS: tuple[Spec, ...] = (
    *validity.SPECS,
    *chain.SPECS,
    *sni.SPECS,
    *negotiation.SPECS,
    *mtls.SPECS,
    *reach.SPECS,
    *revocation.SPECS,
    *resumption.SPECS,
    *balancer.SPECS,
    *healthy.SPECS,
)
