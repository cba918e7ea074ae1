"""Mode 0: the handshake does not get as far as TLS."""

from probes.lab.gate import closing, delayed, first_segment_only, resetting, silent, size_limited
from probes.lab.plain import http, smtp, ssh
from probes.lab.spec import Deaf, Service, Site, Spec
from probes.lab.tls import Terms, after_one_record, serving, stalling, terms


def _healthy(site: Site) -> Terms:
    return terms(site.trust.leaf(site.name), site.trust.issuing_r)


def _stalled(site: Site) -> tuple[Service, ...]:
    return (stalling(_healthy(site), cut=after_one_record),)


def _cut_short(site: Site) -> tuple[Service, ...]:
    # 1,300 bytes: past any ServerHello (post-quantum: 1,210), short of the end of any certificate message
    return (stalling(_healthy(site), cut=lambda _: 1300),)


def _slow(site: Site) -> tuple[Service, ...]:
    return (delayed(serving(_healthy(site)), delay_s=1.3),)


def _first_segment_only(site: Site) -> tuple[Service, ...]:
    return (first_segment_only(serving(_healthy(site))),)


def _size_limited(site: Site) -> tuple[Service, ...]:
    return (size_limited(serving(_healthy(site))),)


SPECS = (
    Spec(
        name="nxdomain.lab",
        mode=0,
        expected="reach.dns",
        status="broken",
        description="the name does not exist (NXDOMAIN)",
        resolution="nxdomain",
    ),
    Spec(
        name="servfail.lab",
        mode=0,
        expected="reach.dns",
        status="broken",
        description="the name servers fail (SERVFAIL), as with broken DNSSEC",
        resolution="servfail",
    ),
    Spec(
        name="dns-timeout.lab",
        mode=0,
        expected="reach.dns",
        status="broken",
        description="the name servers do not answer",
        resolution="timeout",
    ),
    Spec(
        name="no-address.lab",
        mode=0,
        expected="reach.dns",
        status="broken",
        description="the name exists, but has neither A nor AAAA",
        resolution="no-data",
    ),
    Spec(
        name="refused.lab",
        mode=0,
        expected="reach.refused",
        status="broken",
        description="nothing listens on the port",
        build=lambda _: (Deaf.REFUSING,),
    ),
    Spec(
        name="timeout.lab",
        mode=0,
        expected="reach.timeout",
        status="broken",
        description="SYNs are dropped, as by a firewall",
        build=lambda _: (Deaf.FULL,),
    ),
    Spec(
        name="unreachable.lab",
        mode=0,
        expected="reach.unreachable",
        status="broken",
        description="there is no route to the address",
        unrouted=True,
    ),
    Spec(
        name="plain-http.lab",
        mode=0,
        expected="reach.not-tls",
        status="broken",
        description="the port speaks HTTP without TLS",
        build=lambda _: (http(),),
    ),
    Spec(
        name="ssh.lab",
        mode=0,
        expected="reach.not-tls",
        status="broken",
        description="the port speaks SSH",
        build=lambda _: (ssh(),),
    ),
    Spec(
        name="smtp.lab",
        mode=0,
        expected="reach.not-tls",
        status="broken",
        description="the port speaks SMTP",
        build=lambda _: (smtp(),),
    ),
    Spec(
        name="reset.lab",
        mode=0,
        expected="reach.reset",
        status="broken",
        description="the connection is reset after the ClientHello",
        build=lambda _: (resetting(),),
    ),
    Spec(
        name="closed.lab",
        mode=0,
        expected="reach.closed",
        status="broken",
        description="the connection is closed after the ClientHello",
        build=lambda _: (closing(),),
    ),
    Spec(
        name="silent.lab",
        mode=0,
        expected="reach.stalled",
        status="broken",
        description="the ClientHello is never answered",
        build=lambda _: (silent(),),
    ),
    Spec(
        name="stalled.lab",
        mode=0,
        expected="reach.stalled",
        status="broken",
        description="the ServerHello arrives, the certificate never does",
        build=_stalled,
    ),
    Spec(
        name="cut-short.lab",
        mode=0,
        expected="reach.stalled",
        status="broken",
        description="the server's flight breaks off within the certificate, as where its large packets are lost",
        build=_cut_short,
    ),
    Spec(
        name="slow.lab",
        mode=0,
        expected="reach.slow",
        status="warning",
        description="healthy, but each first byte takes 1.3 s",
        build=_slow,
    ),
    Spec(
        name="large-hello.lab",
        mode=0,
        expected="reach.large-hello",
        status="broken",
        description="a box in between resets a ClientHello that is not in one packet: post-quantum clients fail",
        build=_first_segment_only,
    ),
    Spec(
        name="mtu-hole.lab",
        mode=0,
        expected="reach.large-hello",
        status="broken",
        description="a ClientHello over 1,400 bytes vanishes: post-quantum clients hang",
        build=_size_limited,
    ),
)
