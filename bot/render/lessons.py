"""What `help` teaches: each command, each failure mode, each root cause. Data; `bot.render.help` words the messages.

Long because it is a table: one row for each code of the catalogue (tests insist on that).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLesson:
    """`usage` as the grammar has it; examples are (command, what it does)."""

    usage: str
    says: str
    examples: tuple[tuple[str, str], ...]


COMMANDS: Mapping[str, CommandLesson] = MappingProxyType(
    {
        "check": CommandLesson(
            usage="check HOST[:PORT] [--ip ADDR] [--sni NAME] [--starttls PROTO] [--origin ADDR] [--identity NAME]",
            says="Makes the handshakes itself, as several kinds of clients and to every address of the name, and says "
            "in a thread why it fails: for whom, the evidence, the fix, the next command. The button opens the same "
            "as a form.",
            examples=(
                ("check api.example.com", "port 443 goes without saying"),
                ("check api.example.com:8443", "another port"),
                ("check api.example.com --ip 192.0.2.7", "this address only; give it again for more"),
                ("check 192.0.2.7 --sni api.example.com", "an address, and the name to send"),
                ("check mail.example.com:25 --starttls smtp", "TLS that begins after a greeting"),
                ("check api.example.com --origin 10.0.0.8:8443", "compare the balancer with what is behind it"),
            ),
        ),
        "explain": CommandLesson(
            usage="explain TEXT",
            says="Says what an error message means: the likeliest causes, who raised it against whom, and what to look "
            "at. Paste it as it is, log lines and stack traces around it too.",
            examples=(
                ("explain x509: certificate signed by unknown authority", "one line"),
                ("explain NET::ERR_CERT_DATE_INVALID", "what a browser shows"),
                ("explain remote error: tls: bad certificate", "an alert, from a client's or a server's log"),
            ),
        ),
        "triage": CommandLesson(
            usage="triage [HOST[:PORT]] [error text]",
            says="Asks the four questions of triage in a thread, one after the other: one host or many, new deploy or "
            "steady state, all clients or one family, before or after the first byte. The probes suggest each answer "
            "and say why; anyone confirms or overrules them with one click. It ends with the likely cause, the first "
            "command to run, and what would prove or refute it. On any message, also of other apps, *Diagnose TLS "
            "here* does the same.",
            examples=(
                ("triage api.example.com", "looks at it first, unless it was checked a moment ago"),
                ("triage api.example.com x509: certificate has expired", "an error text weighs, too"),
                ("triage", "of what was checked in this thread; elsewhere it asks for a host"),
            ),
        ),
        "history": CommandLesson(
            usage="history [HOST or word]",
            says="Shows the incidents and checks that I remember: open ones first, then the newest.",
            examples=(
                ("history", "everything"),
                ("history api.example.com", "one host"),
                ("history chain.incomplete", "one cause"),
                ("history broken", "one verdict"),
                ("history figures", "time to root cause and frequent causes, as pictures"),
            ),
        ),
        "note": CommandLesson(
            usage="note TEXT",
            says="Writes a line into the timeline of an incident: in its thread by a mention, in a channel for its "
            "newest open one. The shortcut *Add to timeline* and the reaction :pushpin: take a message into it, with "
            "its own time; edits and deletions follow.",
            examples=(("note failover to eu-west began", "in a channel, or after a mention in the incident's thread"),),
        ),
        "identity": CommandLesson(
            usage="identity add | list | remove NAME",
            says="Client certificates that a check shows to servers which ask for one. Each is bound to host patterns "
            "and shown nowhere else; the key is stored encrypted and never shown again.",
            examples=(
                ("identity add", "opens a form"),
                ("identity list", "names, hosts and days left"),
                ("identity remove payments", "forgets one"),
                ("check api.example.com --identity payments", "a check that shows it"),
            ),
        ),
        "watch": CommandLesson(
            usage="watch add HOST[:PORT] | list | remove HOST | snooze HOST 3d | import | sweep",
            says="Looks at the endpoints of this channel regularly: lightly every few minutes, in full once a day "
            "and whenever something changed. What breaks opens an incident and calls the owner; what fails together is "
            "one message; what recovers is told after two good looks. `watch add` alone opens a form, which also takes "
            "a CA bundle.",
            examples=(
                (
                    "watch add api.example.com:8443 --label edge",
                    "also --owner, --sni, --starttls, --identity, --expect-ca",
                ),
                ("watch list", "broken ones first, then those that end first; a word picks some"),
                ("watch snooze api.example.com 3d", "quiet for three days; h, d or w"),
                ("watch sweep", "look at all of them now"),
                ("watch import", "after a mention, with a file: one host a line, CSV, or a zone file"),
                ("watch remove api.example.com", "stops looking at it"),
            ),
        ),
        "ct": CommandLesson(
            usage="ct watch DOMAIN [--expect-ca NAME] [--backfill] [--no-lookalikes] | list | status | remove DOMAIN",
            says="Watches Certificate Transparency: a certificate that nobody is known to have asked for is "
            "told at once, with the proof that it was logged, what CAA said, and where it is served.",
            examples=(
                ("ct watch example.com", "its names and those below it"),
                ('ct watch example.com --expect-ca "Let\'s Encrypt"', "other CAs are told, this one is not"),
                ("ct watch example.com --backfill", "CAs and keys of before are known, from crt.sh"),
                ("ct list", "what is watched, what waits for an answer, and whether it is working"),
                ("ct status", "log by log"),
                ("ct remove example.com", "stops watching it"),
            ),
        ),
        "digest": CommandLesson(
            usage="digest now | at 09:00 Europe/Berlin [weekdays] | off",
            says="This channel's digest: what breaks, what expires soon, and what changed since the last one.",
            examples=(
                ("digest now", "once, at once"),
                ("digest at 09:00 Europe/Berlin weekdays", "each working day"),
                ("digest off", "ends it"),
            ),
        ),
        "help": CommandLesson(
            usage="help [WORD]",
            says="WORD is a command, a root cause or a failure mode.",
            examples=(
                ("help check", "one command"),
                ("help chain.incomplete", "what a root cause means, and what to do first"),
                ("help mode 3", "a failure mode, with its causes"),
            ),
        ),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeLesson:
    """One of the guide's eight failure modes; 0 is what comes before TLS. `family`: the first half of its codes."""

    name: str
    family: str
    says: str
    first: str


MODES: tuple[ModeLesson, ...] = (
    ModeLesson(
        name="before TLS",
        family="reach",
        says="The name, the route or the port fails before a single byte of TLS is answered. No certificate is at "
        "fault yet.",
        first="Check the name, the port and who is in between (firewall, proxy, VPN), from where it fails.",
    ),
    ModeLesson(
        name="the server name (SNI)",
        family="sni",
        says="The server picks its certificate by the name that the client sends. A name that is not routed there, or "
        "not sent at all, gets another one's certificate.",
        first="Compare the certificate that comes with the name and without it.",
    ),
    ModeLesson(
        name="the chain",
        family="chain",
        says="The certificates sent do not lead to a root that the client trusts. Browsers often repair that in "
        "silence; Go, Java, curl and devices do not, so “it works for me” proves nothing.",
        first="Look at what is sent, certificate by certificate: `/tls check` shows the chain and mends it.",
    ),
    ModeLesson(
        name="negotiation",
        family="negotiation",
        says="Client and server have no version, cipher suite, group or signature algorithm in common.",
        first="Ask which clients fail: one old family points here, all of them points to a new configuration.",
    ),
    ModeLesson(
        name="validity",
        family="validity",
        says="A certificate is used outside its dates, or somebody's clock is wrong.",
        first="Check the clock that complains before the certificate; then whether a renewed one was ever loaded.",
    ),
    ModeLesson(
        name="client certificates (mTLS)",
        family="mtls",
        says="The server judges the client's certificate: none was sent, or it is from the wrong CA, expired, or not "
        "made for clients.",
        first="See which CAs the server names, and whether the client sends anything at all.",
    ),
    ModeLesson(
        name="revocation",
        family="revocation",
        says="A certificate is revoked, or whoever must say that it is not (OCSP, CRL, staple) is slow, silent or "
        "stale. Strict clients wait or refuse.",
        first="Ask the responder named in the certificate, from where it hurts, and time it.",
    ),
    ModeLesson(
        name="the balancer",
        family="balancer",
        says="Several machines behind one name are not alike: some fail, or one does now and then. Retries hide it.",
        first="Check each address on its own, several times.",
    ),
    ModeLesson(
        name="resumption",
        family="resumption",
        says="The first visit works and later ones fail or are slow: tickets, caches, early data, shared connections.",
        first="Compare a fresh handshake with a resumed one.",
    ),
)


# code: (what it means, what to do first)
CODES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "reach.dns": (
            "The name has no address, or the name server did not say one. Nothing was ever connected.",
            "Check the spelling and the record, and ask the same resolver that the failing client uses.",
        ),
        "reach.refused": (
            "The host answers, and nothing listens on that port.",
            "See whether the service runs and on which port and address it listens: `ss -tlnp`.",
        ),
        "reach.timeout": (
            "Connection attempts get no answer at all: a packet filter drops them, or the address is dead.",
            "Look at security groups and firewalls on the way, then at the address itself.",
        ),
        "reach.unreachable": (
            "Somebody on the way says that there is no route. The evidence names who.",
            "Look at routes and VPN at the router that is named.",
        ),
        "reach.not-tls": (
            "The port answers in another protocol: plain HTTP, SSH, a proxy's error page, or SMTP before STARTTLS.",
            "Check port and scheme; for mail, LDAP or databases give `--starttls`.",
        ),
        "reach.reset": (
            "The connection is reset after the ClientHello, before the server says anything in TLS.",
            "Look for a firewall that inspects names or sizes, and for a crashing server.",
        ),
        "reach.closed": (
            "The server hangs up politely after the ClientHello, without an alert.",
            "Read the server's log at that second: it knows why it closed.",
        ),
        "reach.stalled": (
            "The connection stands, the ClientHello is sent, and then there is silence.",
            "Look for lost large packets (MTU), an overloaded server, or a device that holds the handshake back.",
        ),
        "reach.slow": (
            "The handshake succeeds, but its first byte takes over a second longer than the way there and back.",
            "See what the server waits for during the handshake: a look-up, a key in an HSM, a busy CPU.",
        ),
        "reach.large-hello": (
            "A ClientHello of more than one packet fails and a small one passes. Post-quantum key shares made current "
            "browsers' hellos that large.",
            "Update the device in front that reads one packet only; until then turn the hybrid group off for a test.",
        ),
        "sni.default-certificate": (
            "The name is sent, and the server still shows its default certificate: nobody routes this name there.",
            "Add the name to the virtual host, listener or ingress, and reload it.",
        ),
        "sni.name-mismatch": (
            "The certificate chosen for the name does not cover the name.",
            "Issue it with this very name among its SANs; a wildcard covers one label only.",
        ),
        "sni.unrecognized": (
            "The server refuses this name (alert 112), or fails for it alone.",
            "Check that the server knows a virtual host of exactly this name.",
        ),
        "sni.required": (
            "Clients that send no server name get another certificate, an alert or a hang-up.",
            "Nothing for current clients. Old ones, or those that use an address, need a default certificate.",
        ),
        "chain.incomplete": (
            "The intermediate is not sent. Browsers fetch it themselves, other clients fail.",
            "Put the full chain on the server: leaf first, then each issuer, without the root.",
        ),
        "chain.untrusted": (
            "The chain is whole, and ends at a root that the client's store does not hold: a private CA, an "
            "inspecting proxy, a root too young for an old device.",
            "Add the root to the client's store, or use a CA that its clients know.",
        ),
        "chain.self-signed": (
            "The server's certificate is its own issuer.",
            "Put a certificate from a CA there, or trust exactly this one on the client.",
        ),
        "chain.expired-intermediate": (
            "An issuing certificate that the server sends has expired, and no other path holds.",
            "Replace the intermediate on the server with the CA's current one; the leaf may stay.",
        ),
        "chain.cross-sign": (
            "There are several paths, and one runs over an expired or distrusted cross-sign: some clients take it.",
            "Stop sending the old cross-sign.",
        ),
        "chain.wrong-intermediate": (
            "The intermediate that is sent did not issue the leaf. Often a renewal came from a newer issuer.",
            "Take the chain file that came with this very certificate.",
        ),
        "chain.misordered": (
            "The right certificates in the wrong order, or with strays among them.",
            "Order them: the server's own first, then each one's issuer.",
        ),
        "chain.weak": (
            "A key or signature in the chain is one that current clients refuse: SHA-1, RSA below 2048 bits.",
            "Have it issued anew with a current key and algorithm.",
        ),
        "chain.wrong-usage": (
            "The certificate's key usage or extended key usage forbids a TLS server.",
            "Have it issued from a profile for servers (serverAuth).",
        ),
        "negotiation.protocol-version": (
            "No common protocol version (alert 70, or a hang-up for that reason).",
            "Allow TLS 1.2 and 1.3 on both sides.",
        ),
        "negotiation.cipher": (
            "No common cipher suite (alert 40 or 71). An ECDSA key with RSA suites, or the reverse, does it too.",
            "Compare both lists, and whether they fit the certificate's key.",
        ),
        "negotiation.group": (
            "No common key-exchange group.",
            "Allow X25519 and P-256 on both sides.",
        ),
        "negotiation.signature": (
            "No signature algorithm that both sides accept for this key.",
            "Compare the client's list with the certificate's key; RSA needs PSS in TLS 1.3.",
        ),
        "negotiation.legacy-only": (
            "The server offers nothing newer than TLS 1.1, which current clients refuse.",
            "Update the server's TLS library or its settings.",
        ),
        "negotiation.modern-only": (
            "The server offers TLS 1.3 alone: older clients fail.",
            "Allow TLS 1.2 beside it while such clients exist.",
        ),
        "negotiation.weak-offered": (
            "Old versions or weak suites are offered beside good ones. Nobody fails for it.",
            "Turn them off when no client needs them.",
        ),
        "negotiation.alpn": (
            "No application protocol in common (alert 120), or the one that is needed (h2) is not agreed.",
            "Compare what both sides offer; gRPC needs h2.",
        ),
        "validity.expired": (
            "The certificate is past its last day.",
            "Renew it, and make sure that every server has loaded the new one.",
        ),
        "validity.not-yet-valid": (
            "The certificate's first day has not come, by a clock that can be trusted.",
            "Check notBefore and the clock; put the old certificate back until then.",
        ),
        "validity.expiring": (
            "Less than a sixth of its life and less than 30 days are left: the renewal should have run.",
            "Renew now, and see why the automation did not.",
        ),
        "validity.clock-skew": (
            "A clock is wrong, not the certificate. The evidence says whose, and by how much.",
            "Set that clock (NTP) before touching any certificate.",
        ),
        "mtls.certificate-required": (
            "The server wants a client certificate and none was sent.",
            "Configure certificate and key on the client; `/tls identity add` lets a check show one.",
        ),
        "mtls.unknown-ca": (
            "The client certificate comes from a CA that the server does not accept.",
            "Compare its issuer with the CA names in the evidence.",
        ),
        "mtls.certificate-rejected": (
            "The client certificate is refused: expired, revoked, not made for clients, or unknown to the server.",
            "Look at its dates and usage, then at the server's log.",
        ),
        "revocation.revoked": (
            "A certificate of the chain is revoked. Who checks, refuses it.",
            "Ask the CA why; issue a new one with a new key.",
        ),
        "revocation.ocsp-slow": (
            "The OCSP responder takes over two seconds, and clients that ask it wait.",
            "Staple on the server, so that no client has to ask.",
        ),
        "revocation.ocsp-unreachable": (
            "The OCSP responder does not answer, or answers with an error.",
            "Try it from where it hurts: egress rules and proxies are the usual reason.",
        ),
        "revocation.crl-slow": (
            "The revocation list takes over two seconds to fetch.",
            "Measure it from there; a large list is the CA's to split.",
        ),
        "revocation.crl-unreachable": (
            "The revocation list cannot be had, or the one served is out of date.",
            "Fetch it by hand and look at its nextUpdate; an internal CA's job may have stopped.",
        ),
        "revocation.staple-missing": (
            "The certificate insists on a stapled answer (must-staple), and the server sends none.",
            "Turn stapling on, or issue the certificate without must-staple.",
        ),
        "revocation.staple-invalid": (
            "The stapled answer is stale, badly signed, or about another certificate.",
            "See why the server does not refresh it; restarting fetches a new one.",
        ),
        "balancer.certificate-differs": (
            "Addresses behind one name serve different certificates: a renewal reached some machines only.",
            "Deploy the newest one to the addresses that the table names.",
        ),
        "balancer.address-down": (
            "Some addresses behind the name fail and others work: one request in so many is lost.",
            "Take the failing addresses out of DNS or the pool, then mend them.",
        ),
        "balancer.configuration-differs": (
            "Addresses differ in versions, suites, ALPN or the demand for client certificates.",
            "Bring them to one configuration; the table shows what differs.",
        ),
        "balancer.intermittent": (
            "One address answers differently from one connection to the next: unlike machines behind it.",
            "Check the pool's members one by one, past the balancer.",
        ),
        "balancer.origin-differs": (
            "The balancer and the origin behind it do not show the same.",
            "Mend the origin; the edge hides it until it stops.",
        ),
        "resumption.tickets-not-shared": (
            "A session ticket of one machine is not honoured by the next: each visit pays a full handshake.",
            "Share the ticket keys among all machines behind the name.",
        ),
        "resumption.broken": (
            "A fresh handshake succeeds, and the resumed one fails: first visits work, later ones do not.",
            "Turn resumption off to stop the pain, then share or rotate the ticket keys properly.",
        ),
        "resumption.early-data": (
            "0-RTT is on, and what is sent early can be sent again by somebody else.",
            "Turn it off, or answer 425 to requests that must not be repeated (RFC 8470).",
        ),
        "resumption.coalescing": (
            "Browsers reuse a connection for another name of the certificate, which is not served there.",
            "Answer 421 there, or do not share one certificate among names that live apart.",
        ),
        "resumption.unsupported": (
            "Sessions are not resumed at all. Nobody fails; each connection costs a full handshake.",
            "Turn tickets or a session cache on.",
        ),
    }
)
