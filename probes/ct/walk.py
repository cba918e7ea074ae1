"""The walk through a certificate's DER that decides whose names are in it: strict about frames, tolerant of content.

CAs and attackers write certificates that strict parsers refuse, and what a parser refuses nobody is told of. So the
frames alone are walked (RFC 5280 section 4.1). When even a frame does not hold, the names are looked for in the raw
bytes, and the answer says that more names cannot be excluded. Nothing here raises but bare_tbs.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from probes.ct.frames import frames
from probes.pki import der
from probes.pki.der import Malformed

__all__ = ["CANNOT_EXCLUDE", "Malformed", "Names", "bare_tbs", "hopped", "names_of", "names_within"]

CANNOT_EXCLUDE = "malformed: your names cannot be excluded"
_SAN = b"\x06\x03\x55\x1d\x11"
_CN = b"\x06\x03\x55\x04\x03"
_SAN_ARCS, _CN_ARCS = b"\x55\x1d\x11", b"\x55\x04\x03"
_POISON = bytes.fromhex("060a2b06010401d679020403")
_SCT_LIST = bytes.fromhex("060a2b06010401d679020402")
_VERSION_3 = b"\xa0\x03\x02\x01\x02"
# serialNumber, signature, issuer, validity, subject, subjectPublicKeyInfo
_SUBJECT = 4
_FIELDS = b"\x02\x30\x30\x30\x30\x30"
_WIDE = {0x1E: "utf-16-be", 0x1C: "utf-32-be"}
_NARROW = b"\x0c\x12\x13\x14\x16"  # UTF8String, NumericString, PrintableString, TeletexString, IA5String
_DNS, _IP = 0x82, 0x87
_IN_PIECES = (0xA2, 0xA7)  # the same, constructed: BER allows it, DER does not


class Names(NamedTuple):
    """The names in a certificate, as the bytes that stand there: dNSNames, iPAddresses, common names.

    With *problems*, more names may be in it than are listed. A tuple and not a dataclass: made for every entry.
    """

    dns: tuple[bytes, ...] = ()
    ips: tuple[bytes, ...] = ()
    cns: tuple[bytes, ...] = ()
    problems: tuple[str, ...] = ()


def names_of(certificate: bytes, is_tbs: bool = False) -> Names:
    """Every name in a certificate, or in its TBSCertificate alone (*is_tbs*). Never raises."""
    return names_within(certificate, 0, len(certificate), is_tbs)


def names_within(data: bytes, start: int, end: int, is_tbs: bool) -> Names:
    """names_of for the certificate data[start:end], without cutting it out."""
    try:
        dns, ips, cns = _walked(data, start, end, is_tbs)
    except (Malformed, IndexError) as wrong:
        why = str(wrong) if isinstance(wrong, Malformed) else "it ends too early"
        return _scanned(data[start:end], f"{CANNOT_EXCLUDE} ({why})")
    return Names(tuple(dns), tuple(ips), tuple(cns))


def hopped(data: bytes, start: int, end: int, is_tbs: bool) -> list[bytes] | None:  # noqa: PLR0912
    """At least the dNSNames and common names that names_within finds, and fast; None when only a walk can tell.

    The subjectAltName is where the frames put it (`frames`). Behind it nothing is walked: where its identifier's
    bytes do not occur again, no second one can be. For common names likewise. So no name is missed, but one that
    stands in a malformed place may be seen as well: what touches somebody is walked again.
    """
    head = frames()[not is_tbs].match(data, start, end)
    if head is None:
        return None
    (_, at), (subject, subject_end), (extension, _) = head.regs
    if not is_tbs:
        if start + 4 + (data[start + 2] << 8 | data[start + 3]) != end:
            return None
        start += 4
    last = start + 4 + (data[start + 2] << 8 | data[start + 3])
    if is_tbs:
        if last != end:
            return None
    elif last + 2 > end or data[last] != der.SEQUENCE or data[last + 2 + data[last + 1]] != der.BIT_STRING:
        return None
    length, size = data[extension + 1], data[at - 2]  # of the extension; of all names, in front of the first one's tag
    if length < 0x80:
        stop = extension + 2 + length
    elif length == 0x81:
        stop = extension + 3 + data[extension + 2]
    else:
        stop = extension + 4 + (data[extension + 2] << 8 | data[extension + 3])
        size |= data[at - 3] << 8
    if stop > last or at - 1 + size != stop or data.find(_SAN_ARCS, stop, last) >= 0:
        return None
    # The names are cut at their tags, which no host name contains; each begins with its length.
    pieces = data[at:stop].split(b"\x82")
    dns = [piece[1:] for piece in pieces if piece and piece[0] == len(piece) - 1]
    if len(dns) != len(pieces):
        return None
    at = data.find(_CN_ARCS, subject, subject_end)
    if at < 0:
        return dns
    stop = at + 5 + data[at + 4]
    if data[at + 3] not in _NARROW or stop > subject_end or data.find(_CN_ARCS, at + 3, subject_end) >= 0:
        return None
    name = data[at + 5 : stop]
    if name not in dns:
        dns.append(name)
    return dns


def bare_tbs(certificate: bytes, *, is_tbs: bool) -> bytes:
    """The TBSCertificate without poison and SCT list extension (RFC 6962 section 3.2), Malformed when it is none.

    Lengths around what was taken out are written anew, in DER; nothing else is touched.
    """
    tbs = der.element(certificate, 0, len(certificate))
    if not is_tbs:
        _expect(tbs, der.SEQUENCE)
        tbs = der.element(certificate, tbs.body, tbs.end)
    _expect(tbs, der.SEQUENCE)
    fields = list(der.children(certificate, tbs))
    last = fields[-1] if fields else None
    whole = certificate[tbs.start : tbs.end]
    if last is None or last.tag != 0xA3:
        return whole
    listed = der.element(certificate, last.body, last.end)
    _expect(listed, der.SEQUENCE)
    extensions = [certificate[each.start : each.end] for each in der.children(certificate, listed)]
    kept = [each for each in extensions if not _is_of_the_log(each)]
    if len(kept) == len(extensions):
        return whole
    before = certificate[tbs.body : last.start]
    return _encoded(0x30, before + _encoded(0xA3, _encoded(0x30, b"".join(kept))))


def _walked(  # noqa: PLR0912, PLR0915
    data: bytes, at: int, end: int, is_tbs: bool
) -> tuple[list[bytes], list[bytes], list[bytes]]:
    """dNSNames, iPAddresses and common names of the certificate or TBS data[at:end]; Malformed or IndexError when its
    frames do not hold."""
    if not is_tbs:
        at, inner = _sequence(data, at)
        if inner != end:
            raise Malformed("the certificate has another length than it says")
    limit = end
    at, end = _sequence(data, at)
    if end != limit if is_tbs else _signature_end(data, end) != limit:
        raise Malformed("the signed part has another length than it says")
    if data[at : at + 5] == _VERSION_3:
        at += 5
    elif data[at] == 0xA0:
        at = _end(data, at)
    subject = subject_end = 0
    for field, tag in enumerate(_FIELDS):
        if data[at] != tag:
            raise Malformed(f"field {field} of the signed part has tag {data[at]:#04x}")
        if field == _SUBJECT:
            subject = at
        length = data[at + 1]
        if length < 0x80:
            at += 2 + length
        elif length == 0x82:
            at += 4 + (data[at + 2] << 8 | data[at + 3])
        else:
            at = _end(data, at)
        if field == _SUBJECT:
            subject_end = at
    cns = _common_names(data, subject, subject_end) if data.find(_CN_ARCS, subject, subject_end) >= 0 else []
    dns: list[bytes] = []
    ips: list[bytes] = []
    while at < end and data[at] in b"\x81\xa1\x82\xa2":  # unique identifiers (RFC 5280 section 4.1.2.8)
        at = _end(data, at)
    if at < end:
        if data[at] != 0xA3:
            raise Malformed("something other than extensions after the public key")
        at, inner = _content(data, at)
        at, last = _sequence(data, at)
        if not inner == last == end:
            raise Malformed("the extensions have another length than they say")
        while at < end:
            if data[at] != 0x30:
                raise Malformed("an extension that is no extension")
            length = data[at + 1]
            if length < 0x80:
                body = at + 2
                at = body + length
            elif length == 0x82:
                body = at + 4
                at = body + (data[at + 2] << 8 | data[at + 3])
            else:
                body, at = _content(data, at)
            if data[body : body + 5] == _SAN:
                _general_names(data, body + 5, at, dns, ips)
            elif data[body + 1] & 0x80 and (after := _after_identifier(data, body, _SAN_ARCS)):
                _general_names(data, after, at, dns, ips)
    if at != end:
        raise Malformed("the signed part has another length than it says")
    return dns, ips, cns


def _general_names(data: bytes, at: int, end: int, dns: list[bytes], ips: list[bytes]) -> None:
    """Add the names of a subjectAltName extension, from behind its identifier (RFC 5280 section 4.2.1.6)."""
    if data[at] == der.BOOLEAN:
        at = _end(data, at)
    if data[at] != der.OCTET_STRING:
        raise Malformed("a subjectAltName without content")
    length = data[at + 1]
    at, inner = (at + 2, at + 2 + length) if length < 0x80 else _content(data, at)
    if data[at] != der.SEQUENCE:
        raise Malformed("a subjectAltName that is no sequence")
    length = data[at + 1]
    at, last = (at + 2, at + 2 + length) if length < 0x80 else _content(data, at)
    if not inner == last == end:
        raise Malformed("a subjectAltName of another length than it says")
    while at < end:
        tag, length = data[at], data[at + 1]
        if length < 0x80:
            body = at + 2
            at = body + length
        else:
            body, at = _content(data, at)
        if tag == _DNS:
            dns.append(data[body:at])
        elif tag == _IP:
            value = data[body:at]
            # An address of no known length is often the text of one.
            (ips if len(value) in (4, 16) else dns).append(value)
        elif tag in _IN_PIECES:
            raise Malformed("a name that is put together from pieces")
    if at != end:
        raise Malformed("the last name of a subjectAltName is cut short")


def _common_names(data: bytes, at: int, end: int) -> list[bytes]:
    """Every common name of a subject, as UTF-8 where the string type is a wide one (RFC 5280 section 4.1.2.4)."""
    names = []
    at, _ = _content(data, at)
    while at < end:
        if data[at] != 0x31:
            raise Malformed("a subject that is no sequence of sets")
        length = data[at + 1]
        at, last = (at + 2, at + 2 + length) if length < 0x80 else _content(data, at)
        while at < last:
            if data[at] != 0x30:
                raise Malformed("a subject with an attribute that is none")
            length = data[at + 1]
            at, stop = (at + 2, at + 2 + length) if length < 0x80 else _content(data, at)
            value = at + 5 if data[at : at + 5] == _CN else 0
            if data[at + 1] & 0x80:
                value = _after_identifier(data, at, _CN_ARCS)
            if value:
                body, inner = _content(data, value)
                if inner != stop:
                    raise Malformed("a common name of another length than it says")
                names.append(_text(data[value], data[body:inner]))
            at = stop
        if at != last:
            raise Malformed("a subject with an attribute that is cut short")
    if at != end:
        raise Malformed("a subject of another length than it says")
    return names


def _text(tag: int, value: bytes) -> bytes:
    wide = _WIDE.get(tag)
    return value.decode(wide, "replace").encode("utf-8", "replace") if wide else value


def _scanned(raw: bytes, problem: str) -> Names:
    """The names that can be found in bytes whose frames do not hold."""
    dns: list[bytes] = []
    ips: list[bytes] = []
    loose = (each for found in islice(_each(raw, _SAN_ARCS), _MOST_LOOSE) for each in _loose_names(raw, found))
    left = 16 * len(raw)  # a length that lies may take the rest of the bytes each time
    for tag, value in islice(loose, _MOST_LOOSE):
        if tag in (_DNS, _IP):
            (ips if tag == _IP and len(value) in (4, 16) else dns).append(value)
            left -= len(value)
        if left < 0:
            break
    places = islice(_each(raw, _CN_ARCS), _MOST_LOOSE)
    cns = [_text(raw[at], raw[at + 2 : at + 2 + raw[at + 1]]) for at in places if at + 2 <= len(raw)]
    return Names(tuple(dict.fromkeys(dns)), tuple(dict.fromkeys(ips)), tuple(dict.fromkeys(cns)), (problem,))


_MOST_LOOSE = 1 << 14  # names taken from one malformed certificate: that more cannot be excluded is said anyhow
_NAME_TAGS = frozenset((*range(0x81, 0x89), *range(0xA0, 0xA6)))


def _loose_names(raw: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """dNSNames and iPAddresses from the first byte on that could begin a name, until one that could not."""
    # Between identifier and names stand at most criticality, an OCTET STRING's and a SEQUENCE's header.
    for first in range(at, min(at + 16, len(raw))):
        if raw[first] not in _NAME_TAGS:
            continue
        position = first
        while position + 2 <= len(raw) and raw[position] in _NAME_TAGS:
            tag, length = raw[position], raw[position + 1]
            body = position + 2
            if length & 0x80:
                count = length & 0x7F
                length = int.from_bytes(raw[body : body + count], "big")
                body += count
            position = body + length
            yield tag, raw[body:position]


def _each(raw: bytes, needle: bytes) -> Iterator[int]:
    """Where the bytes after each *needle* begin."""
    at = raw.find(needle)
    while at >= 0:
        yield at + len(needle)
        at = raw.find(needle, at + 1)


def _after_identifier(data: bytes, at: int, arcs: bytes) -> int:
    """Where the object identifier at *at* ends, if it is *arcs* with a length that DER would write shorter; else 0."""
    body, end = _content(data, at)
    return end if data[at] == der.OBJECT_IDENTIFIER and data[body:end] == arcs else 0


def _content(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the element at *at* begins and ends. The end is not checked against anything."""
    length = data[at + 1]
    at += 2
    if length < 0x80:
        return at, at + length
    count = length & 0x7F
    if not 0 < count <= 4:
        raise Malformed(f"an impossible length at byte {at}")
    return at + count, at + count + int.from_bytes(data[at : at + count], "big")


def _sequence(data: bytes, at: int) -> tuple[int, int]:
    if data[at] != 0x30:
        raise Malformed(f"tag {data[at]:#04x} where a SEQUENCE belongs")
    return _content(data, at)


def _end(data: bytes, at: int) -> int:
    return _content(data, at)[1]


def _signature_end(data: bytes, at: int) -> int:
    """Where the algorithm and the signature behind a TBSCertificate end."""
    _, at = _sequence(data, at)
    if data[at] != der.BIT_STRING:
        raise Malformed("a certificate without a signature")
    return _end(data, at)


def _is_of_the_log(extension: bytes) -> bool:
    parts = der.inside(extension)
    kind = next(parts, None)
    return kind is not None and extension[kind.start : kind.end] in (_POISON, _SCT_LIST)


def _expect(element: der.Element, tag: int) -> None:
    if element.tag != tag:
        raise Malformed(f"tag {element.tag:#04x}, not {tag:#04x}")


def _encoded(tag: int, content: bytes) -> bytes:
    """One element in DER."""
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    count = (length.bit_length() + 7) // 8
    return bytes((tag, 0x80 | count)) + length.to_bytes(count, "big") + content
