"""The oracle: certspotter and we, on the same RFC 6962 log, match the same issuances."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.ct import certspotter
from tests.ct.certificates import odd
from tests.ct.conftest import MakeLog
from tests.ct.following import WATCHED, Watcher
from tests.ct.logserver import log_list

MATCHING = (
    (WATCHED,),
    (f"*.{WATCHED}",),
    (f"a.b.c.{WATCHED}",),
    (f"API.{WATCHED.upper()}",),
    ("elsewhere.invalid", f"second.{WATCHED}"),
    (f"*.deep.{WATCHED}", "elsewhere.invalid"),
    (f"xn--bcher-kva.{WATCHED}",),
    (f"_acme.{WATCHED}",),
)
OTHERS = (
    (f"not{WATCHED}",),
    (f"{WATCHED}.elsewhere.invalid",),
    (WATCHED.replace(".", "-"),),
    ("*.invalid",),
    ("192.0.2.7",),
)


@pytest.mark.skipif(certspotter.PROGRAM is None, reason=certspotter.MISSING)
async def test_certspotter_matches_the_same_issuances(make_log: MakeLog, watcher: Watcher, tmp_path: Path) -> None:
    log = make_log(batch=50)
    authority = log.authority
    wanted = set()
    for number, names in enumerate((*MATCHING, *OTHERS)):
        log.fill(40)
        pair = authority.issue(*names)
        log.submit(pair, final=number % 2 == 1)
        if names in MATCHING:
            wanted.add(pair.identity)
    both = authority.issue(f"both.{WATCHED}")
    log.submit(both)
    log.fill(10)
    log.submit(both, final=True)
    by_common_name = authority.issue("elsewhere.invalid", common_name=f"cn.{WATCHED}")
    log.submit(by_common_name)
    log.fill(200)
    listed = log.listed("rfc6962")
    theirs = await asyncio.to_thread(certspotter.run, tmp_path, log_list(listed), [WATCHED])
    ours = await watcher.look(listed)
    assert theirs.verified == ours.last["sycamore"].verified == len(log.history.entries)
    assert theirs.identities == set(ours.identities) == wanted | {both.identity, by_common_name.identity}
    assert len(ours.identities) == len(wanted) + 2


@pytest.mark.skipif(certspotter.PROGRAM is None, reason=certspotter.MISSING)
async def test_what_certspotter_sees_in_odd_certificates_we_see(
    make_log: MakeLog, watcher: Watcher, tmp_path: Path
) -> None:
    log = make_log()
    log.fill(20)
    strange = log.authority.issue(f"strange.{WATCHED}", f"plain.{WATCHED}")
    log.add(odd(strange), chain=log.authority.chain)
    log.fill(20)
    listed = log.listed("rfc6962")
    theirs = await asyncio.to_thread(certspotter.run, tmp_path, log_list(listed), [WATCHED])
    ours = await watcher.look(listed)
    assert theirs.identities <= set(ours.identities)
    assert len(ours.identities) == 1
