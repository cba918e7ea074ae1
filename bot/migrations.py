"""The shape of the memory, as numbered steps. A step that was released is never changed; a new one follows it.

It only grows, so it is long.
"""

from __future__ import annotations

from sqlite_utils import Database, Migrations

STEPS = Migrations("clienthello")


@STEPS(name="0001_requests_checks_incidents_outbox")
def _first(db: Database) -> None:
    for statement in _FIRST:
        db.execute(statement)


@STEPS(name="0002_uploads")
def _uploads(db: Database) -> None:
    # The id of a file whose bytes are with Slack: it is shared once, whatever dies between.
    db.execute("alter table outbox add column upload text")


@STEPS(name="0003_identities")
def _identities(db: Database) -> None:
    # Client certificates for checks. `chain` is base64 of DER; `sealed` is the private key, encrypted (`bot.sealing`).
    db.execute(
        """create table identities (
            team text not null, name text not null, patterns text not null, chain text not null,
            sealed blob not null, added_by text not null, added_at text not null, primary key (team, name))"""
    )


@STEPS(name="0004_incident_rooms")
def _incident_rooms(db: Database) -> None:
    for statement in _ROOMS:
        db.execute(statement)


@STEPS(name="0005_walkthroughs")
def _walkthroughs(db: Database) -> None:
    # Triage. `id` is that of the request that began it, `state` the rest of `bot.triage.Walkthrough` as JSON.
    db.execute(
        """create table walkthroughs (
            id integer primary key, team text not null, channel text not null, parent text, thread_ts text,
            command text, is_open integer not null, revision integer not null, updated_at text not null,
            state text not null)"""
    )
    db.execute("create index walkthroughs_place on walkthroughs (channel) where is_open")


@STEPS(name="0007_installations")
def _installations(db: Database) -> None:
    # Many workspaces by OAuth. `id` is a workspace's, or an organisation's where the app was installed for all of it;
    # `sealed` holds the tokens (`bot.sealing`) and is null once they were taken away.
    db.execute(
        """create table installations (
            id text primary key, is_org integer not null, name text not null, app text not null,
            bot_user text not null, bot_id text not null, scopes text not null, url text not null, sealed blob,
            expires_at integer, installed_by text not null, installed_at text not null, ended_at text)"""
    )
    # Which organisation's installation speaks for a workspace that has none of its own.
    db.execute("create table org_workspaces (team text primary key, org text not null)")
    # The digest of each state that a browser was sent to Slack with; it comes back once.
    db.execute("create table oauth_states (digest text primary key, expires_at real not null)")


@STEPS(name="0008_channels")
def _channels(db: Database) -> None:
    # Channels in which nothing can be said any more: archived, deleted, or left by the bot.
    db.execute(
        """create table closed_channels (
            team text not null, channel text not null, why text not null, at text not null,
            primary key (team, channel))"""
    )


@STEPS(name="0008b_workflow_steps")
def _workflow_steps(db: Database) -> None:
    # What a workflow that runs our step waits for: `outcome` (JSON) is told to Slack until it takes it.
    db.execute(
        """create table workflow_steps (
            execution text primary key, team text not null, outcome text not null, noted_at real not null,
            attempts integer not null default 0, retry_at real not null default 0, told_at text, error text)"""
    )
    db.execute("create index workflow_steps_untold on workflow_steps (retry_at) where told_at is null")


@STEPS(name="0006_pictures")
def _pictures(db: Database) -> None:
    for statement in _PICTURES:
        db.execute(statement)


@STEPS(name="0010_watching")
def _watching(db: Database) -> None:
    for statement in _WATCHING:
        db.execute(statement)


@STEPS(name="0010b_floods")
def _floods(db: Database) -> None:
    # What failed together and was told in one message; `members` is JSON: watch number → target, cause, recovered.
    db.execute(
        """create table floods (
            key text primary key, team text not null, channel text not null, began_at real not null, ended_at real,
            members text not null)"""
    )
    db.execute("create index floods_open on floods (channel) where ended_at is null")


@STEPS(name="0011_lineages")
def _lineages(db: Database) -> None:
    for statement in _LINEAGES:
        db.execute(statement)


@STEPS(name="0011b_numbers")
def _numbers(db: Database) -> None:
    # Messages, drift and lineages are kept by the numbers of watches, looks by those of lookouts: a number that was
    # given back and given again would be taken for what had it before.
    for statement in _NUMBERS:
        db.execute(statement)


@STEPS(name="0009_home")
def _home(db: Database) -> None:
    for statement in _HOME:
        db.execute(statement)


@STEPS(name="0012_digests")
def _digests(db: Database) -> None:
    for statement in _DIGESTS:
        db.execute(statement)


@STEPS(name="0013_ct")
def _ct(db: Database) -> None:
    for statement in _CT:
        db.execute(statement)


@STEPS(name="0014_lineages_go_on")
def _lineages_go_on(db: Database) -> None:
    # All names that a lineage ever had: a renewal may change them. `within`: the message in whose thread it is told.
    for statement in _LINEAGES_GO_ON:
        db.execute(statement)


@STEPS(name="0014b_seen_leaves")
def _seen_leaves(db: Database) -> None:
    # The certificates that full looks saw: a light look that sees another asks for a full one.
    db.execute("alter table lookouts add column seen_leaves text not null default ''")


@STEPS(name="0014c_outages")
def _outages(db: Database) -> None:
    # Of our own network; `places` is JSON: team and channel of each message that says so.
    db.execute("create table outages (began_at real primary key, tried integer not null, places text not null,"
               " ended_at real)")  # fmt: skip


@STEPS(name="0015_watches_of")
def _watches_of(db: Database) -> None:
    # What a workspace, or a channel of it, watches; nobody asks any more which looks began on a day.
    db.execute("create index watches_of on watches (team, channel)")
    db.execute("drop index looks_begun")


@STEPS(name="0016_ct_numbers")
def _ct_numbers(db: Database) -> None:
    # Messages and buttons name issuances, and what logs did, by number: one given back and given again would edit an
    # old message instead of telling, and an old button would answer for another certificate.
    for statement in _CT_NUMBERS:
        db.execute(statement)


@STEPS(name="0017_digest_moments")
def _digest_moments(db: Database) -> None:
    # A planned digest is known by the moment it was due, not by its local day: when a plan moves to another hour or
    # zone, the day may have been told of already.
    for statement in _DIGEST_MOMENTS:
        db.execute(statement)


def apply(db: Database) -> list[str]:
    """Bring *db* up to date; the names of the steps that were taken."""
    pending = [step.name for step in STEPS.pending(db)]
    STEPS.apply(db)
    return pending


_FIRST = (
    # A request, stored before it is acknowledged. `key` names the delivery: a second one changes nothing.
    """create table intakes (
        id integer primary key, key text not null unique, kind text not null, team text not null,
        channel text not null, user text not null, text text not null, action text, message_ts text,
        thread_ts text, response_url text, ephemeral_button integer not null default 0,
        received_at text not null, attempts integer not null default 0, finished_at text, error text)""",
    "create index intakes_unfinished on intakes (id) where finished_at is null",
    # `id` is that of the intake: one request, one check.
    """create table checks (
        id integer primary key references intakes (id), team text not null, channel text not null,
        user text not null, command text not null, headline text not null, at text not null,
        target text not null, host text not null, server_name text, starttls text, status text not null,
        cause text, mode integer, summary text not null, elapsed_ms real not null, report text not null)""",
    "create index checks_target on checks (target, id)",
    "create index checks_cause on checks (cause, id)",
    "create index checks_headline on checks (headline, id)",
    """create table incidents (
        id integer primary key, team text not null, channel text not null, target text not null,
        cause text not null, state text not null, opened_at text not null, ended_at text,
        first_check integer not null, last_check integer not null, checks integer not null)""",
    "create unique index incidents_open on incidents (channel, target, cause) where state = 'open'",
    "create index incidents_target on incidents (target, id)",
    # What is owed to Slack: `sent_revision` behind `revision` is unsent. Times are Unix seconds.
    """create table outbox (
        id integer primary key, key text not null unique, kind text not null, team text not null,
        channel text not null, parent text, thread_ts text, user text, response_url text,
        replace_original integer not null, filename text, file_text text, content text not null,
        noted_at real not null, revision integer not null, sent_revision integer not null, ts text,
        attempted_at real, attempts integer not null, retry_at real not null, state text not null, error text)""",
    "create index outbox_unsent on outbox (id) where sent_revision < revision and state = 'live'",
    "create index outbox_place on outbox (channel, ts)",
    """create table audit (
        id integer primary key, at text not null, team text not null, channel text not null,
        user text not null, action text not null, text text not null, verdict text not null)""",
    "create table refusals (team text primary key, at text not null)",
)

_PICTURES = (
    # What messages show. `upload` is Slack's id of the bytes; state: new, ready to be shown, or refused by Slack.
    """create table pictures (
        team text not null, key text not null, png blob not null, alt text not null, noted_at real not null,
        upload text, state text not null default 'new', attempts integer not null default 0, error text,
        primary key (team, key))""",
    "alter table outbox add column pictures text",  # the keys, as JSON, of what a message shows
    "alter table outbox add column passing integer not null default 0",  # a progress edit: whatever lasts goes first
    "create index outbox_unsent_in on outbox (parent, id) where sent_revision < revision and state = 'live'",
    "create index outbox_pictures on outbox (team) where pictures is not null",
)

# An incident is one endpoint's, whatever its cause, with one message that shows it, until somebody resolves it.
_ROOMS = (
    "drop index incidents_open",
    "drop index incidents_target",
    "alter table incidents add column endpoint text not null default ''",
    "alter table incidents add column host text not null default ''",
    "alter table incidents add column issuer text not null default ''",
    "alter table incidents add column root text not null default ''",
    "alter table incidents add column thread_ts text",
    "alter table incidents add column severity text not null default 'sev2'",
    "alter table incidents add column commander text",
    "alter table incidents add column opened_by text not null default ''",
    "alter table incidents add column asked_at text",
    "alter table incidents add column cause_at text",
    "alter table incidents add column recovered_at text",
    "alter table incidents add column ended_by text",
    """update incidents set cause_at = opened_at, (root, opened_by, host, thread_ts, asked_at, endpoint) = (
        select c.headline, c.user, c.host, i.thread_ts, i.received_at, c.target
            || case when c.server_name is null or c.server_name = c.host then '' else ' sni=' || c.server_name end
            || case when c.starttls is null then '' else ' starttls=' || c.starttls end
        from checks c join intakes i on i.id = c.id where c.id = incidents.first_check)
        where first_check in (select c.id from checks c join intakes i on i.id = c.id)""",
    "update incidents set recovered_at = ended_at where state = 'recovered'",
    """update incidents set state = 'resolved', ended_at = coalesce(ended_at, opened_at)
        where state != 'open' or id not in (
            select max(id) from incidents where state = 'open' group by team, channel, endpoint)""",
    "create unique index incidents_standing on incidents (team, channel, endpoint) where state != 'resolved'",
    "create index incidents_root on incidents (root)",
    "create index incidents_host on incidents (host, id)",
    """create table timeline (
        id integer primary key, incident integer not null references incidents (id), key text not null,
        kind text not null, at text not null, user text not null, text text not null, check_id integer,
        source_ts text, added_by text, edited_ts text, state text not null, unique (incident, key))""",
    "create index timeline_source on timeline (source_ts) where source_ts is not null",
    """create table vigils (
        incident integer primary key references incidents (id), user text not null, started_at text not null,
        looks integer not null, looked_at text, next_at text)""",
    # What can be searched for; `bot.fulltext` keeps an index over it where SQLite has FTS5.
    """create table texts (
        id integer primary key, kind text not null, ref integer not null, part integer not null, body text not null,
        unique (kind, ref, part))""",
    """insert into texts (kind, ref, part, body) select 'check', id, 0,
        target || ' ' || status || ' ' || coalesce(cause, '') || ' ' || summary from checks""",
    """insert into texts (kind, ref, part, body) select 'incident', id, 0,
        'INC ' || id || ' ' || target || ' ' || cause || ' ' || state from incidents""",
    "alter table audit add column intake integer",
    "alter table audit add column target text not null default ''",
    "create index audit_intake on audit (intake)",
    "create index intakes_message on intakes (message_ts) where action = 'incident.unpin' or finished_at is null",
    "create index incidents_channel on incidents (channel, id)",
)

# What is watched, and what was seen of it. Rows are many here: times are Unix seconds, what is long stands once.
_WATCHING = (
    # An endpoint with the options that it is looked at with; `bot.watched.Lookout`.
    """create table lookouts (
        id integer primary key, team text not null, host text not null, port integer not null,
        server_name text not null default '', starttls text not null default '', identity text not null default '',
        bundle text not null default '', status text, cause text, broken_since real, goods integer not null default 0,
        light text not null default '', full text not null default '', gist text not null default '',
        light_at real, full_at real, told_at real, expires_at real,
        unique (team, host, port, server_name, starttls, identity, bundle))""",
    "create table bundles (sha256 text primary key, pem text not null)",
    # `told`: the cause that the channel was told of and that still stands.
    """create table watches (
        id integer primary key, team text not null, channel text not null,
        lookout integer not null references lookouts (id), owner text, labels text not null, expected_cas text not null,
        snoozed_until real, told text, added_by text not null, added_at real not null, unique (channel, lookout))""",
    "create index watches_lookout on watches (lookout)",
    # A sighting once, by its digest; `looks` are runs of looks that saw the same.
    "create table sightings (id integer primary key, sha256 text not null unique, body text not null)",
    """create table looks (
        id integer primary key, lookout integer not null, kind text not null, sighting integer not null,
        status text not null, first_at integer not null, last_at integer not null, count integer not null)""",
    "create index looks_of on looks (lookout, kind, id)",
    "create index looks_begun on looks (first_at)",
    "create index looks_showing on looks (sighting)",
    """create table certificates (
        sha256 text primary key, spki text not null, tbs text not null, serial text not null, aki text not null,
        subject text not null, issuer text not null, not_before text not null, not_after text not null,
        names text not null, first_seen integer not null, last_seen integer not null) without rowid""",
    "create index certificates_spki on certificates (spki)",
    "create index certificates_tbs on certificates (tbs)",
    # Which leaf was served where, and since when.
    """create table leaves (
        lookout integer not null, sha256 text not null, first_seen integer not null, last_seen integer not null,
        primary key (lookout, sha256)) without rowid""",
    # Handshake times of one day: `buckets` is a histogram, as "bucket:count" with commas.
    """create table paces (
        lookout integer not null, day integer not null, count integer not null, sum real not null, least real not null,
        most real not null, buckets text not null, primary key (lookout, day)) without rowid""",
)

_NUMBERS = (
    """create table numbered_lookouts (
        id integer primary key autoincrement, team text not null, host text not null, port integer not null,
        server_name text not null default '', starttls text not null default '', identity text not null default '',
        bundle text not null default '', status text, cause text, broken_since real, goods integer not null default 0,
        light text not null default '', full text not null default '', gist text not null default '',
        light_at real, full_at real, told_at real, expires_at real,
        unique (team, host, port, server_name, starttls, identity, bundle))""",
    "insert into numbered_lookouts select * from lookouts",
    """create table numbered_watches (
        id integer primary key autoincrement, team text not null, channel text not null,
        lookout integer not null references numbered_lookouts (id), owner text, labels text not null,
        expected_cas text not null, snoozed_until real, told text, added_by text not null, added_at real not null,
        unique (channel, lookout))""",
    "insert into numbered_watches select * from watches",
    "drop table watches",
    "drop table lookouts",
    "alter table numbered_lookouts rename to lookouts",
    "alter table numbered_watches rename to watches",
    "create index watches_lookout on watches (lookout)",
    "delete from sqlite_sequence where name in ('watches', 'lookouts')",
    """insert into sqlite_sequence (name, seq) select 'watches', coalesce(max(id), 0) from (select id from watches
        union all select watch from drifts union all select watch from drift_memories
        union all select watch from lineage_watches)""",
    """insert into sqlite_sequence (name, seq) select 'lookouts', coalesce(max(id), 0) from (select id from lookouts
        union all select lookout from looks union all select lookout from paces
        union all select lookout from leaves)""",
)

# What is said once, and who looks at the App Home. Who asked something before knows the bot.
_HOME = (
    "create table met (team text not null, user text not null, at text not null, primary key (team, user))",
    """insert into met (team, user, at) select team, user, min(received_at) from intakes
        where user != '' group by team, user""",
    "create table welcomes (team text not null, channel text not null, at text not null, primary key (team, channel))",
    """insert into welcomes (team, channel, at) select team, channel, min(received_at) from intakes
        where channel != '' group by team, channel""",
    # `shown`: a digest of the view that was published last.
    """create table homes (
        team text not null, user text not null, opened_at text not null, shown text not null default '',
        primary key (team, user))""",
)

# The lines of certificates, each with its thread, and what drifted. `state` is the value as JSON (`bot.plain`).
_LINEAGES = (
    """create table lineages (
        id integer primary key, team text not null, channel text not null, names_key text not null,
        owner text not null, is_open integer not null, state text not null)""",
    "create index lineages_names on lineages (team, channel, names_key)",
    """create table lineage_watches (
        watch integer not null, lineage integer not null references lineages (id),
        primary key (watch, lineage)) without rowid""",
    "create index lineage_watches_of on lineage_watches (lineage)",
    # `mass`: a CA wants many certificates of one channel replaced.
    """create table masses (
        id integer primary key, team text not null, channel text not null, authority text not null,
        is_open integer not null, state text not null)""",
    "create index masses_open on masses (team, channel) where is_open",
    "create table drift_memories (watch integer primary key, state text not null)",
    # What was told of a watch, for digests and history; `ended`: back, or settled (it is how it is now).
    """create table drifts (
        id integer primary key, watch integer not null, team text not null, channel text not null,
        target text not null, message integer not null, kind text not null, key text not null, severity text not null,
        text text not null, addresses text not null, evidence text not null, at real not null, ended_at real,
        ended text)""",
    "create index drifts_of on drifts (watch, message)",
    "create index drifts_at on drifts (team, channel, at)",
    # Until when a CA is not to be asked for renewal information.
    "create table ari_rounds (authority text primary key, next_at real not null)",
)

_LINEAGES_GO_ON = (
    """create table lineage_names (
        names_key text not null, lineage integer not null references lineages (id),
        primary key (names_key, lineage)) without rowid""",
    "insert into lineage_names select names_key, id from lineages",
    "alter table lineages add column opened_at real",
    "alter table lineages add column within text",
    "drop index lineages_names",
    "create index lineages_opened on lineages (team, channel, opened_at)",
    "create index lineages_within on lineages (within) where within is not null",
)

_DIGESTS = (
    # When a channel wants its digest; `weekdays` is JSON, 0 is Monday.
    """create table digest_plans (
        team text not null, channel text not null, at text not null, zone text not null, weekdays text not null,
        set_by text not null, set_at text not null, primary key (team, channel))""",
    # A local day has one planned digest; `day` is null for one that was asked for.
    """create table digests (
        team text not null, channel text not null, key text not null unique, day text, zone text not null,
        posted_at text not null, since text not null, until text not null, unique (team, channel, day))""",
)

_DIGEST_MOMENTS = (
    # `due` is null for one that was asked for.
    """create table due_digests (
        team text not null, channel text not null, key text not null unique, due text, zone text not null,
        posted_at text not null, since text not null, until text not null, unique (team, channel, due))""",
    """insert into due_digests (team, channel, key, due, zone, posted_at, since, until)
        select team, channel, key, case when day is null then null else posted_at end, zone, posted_at, since, until
        from digests order by rowid""",
    "drop table digests",
    "alter table due_digests rename to digests",
)

# Certificate Transparency (`bot.ct_book`). Times are Unix seconds.
_CT = (
    """create table ct_guards (
        id integer primary key, team text not null, channel text not null, domain text not null,
        expected_cas text not null, lookalikes integer not null, added_by text not null, added_at real not null,
        unique (team, channel, domain))""",
    "create index ct_guards_domain on ct_guards (domain)",
    # How far each log is read; `position` is JSON of `probes.ct.position.Position`.
    """create table ct_positions (
        log_id text primary key, position text not null, downloaded integer not null, verified integer not null,
        promised integer not null, state text not null, newest_ms integer not null, at real not null) without rowid""",
    # The logs by the list that was read last, and what changed in it.
    """create table ct_logs (
        log_id text primary key, name text not null, state text not null, first integer, began_at real)""",
    "create table ct_lists (id integer primary key, version text not null, dated_at real, read_at real not null)",
    "create table ct_changes (id integer primary key, at real not null, text text not null)",
    # An issuance by the hash of its TBS; `facts` is JSON of `bot.issuances.Issued`, `caa` of its findings.
    """create table ct_issuances (
        tbs text primary key, facts text not null, ca text not null, spki text not null, not_after real,
        logged_at real not null, found_at real not null, caa text, caa_at real, caa_attempts integer not null default 0)
        without rowid""",
    "create index ct_unexamined on ct_issuances (found_at) where caa is null",
    """create table ct_entries (
        tbs text not null, log_id text not null, idx integer not null, log text not null, at real not null,
        is_precert integer not null, is_verified integer not null, evidence text, primary key (tbs, log_id, idx))
        without rowid""",
    "create table ct_names (name text not null, tbs text not null, primary key (name, tbs)) without rowid",
    # An issuance in a channel that watches one of its domains.
    """create table ct_cases (
        id integer primary key, team text not null, channel text not null, tbs text not null, domains text not null,
        state text not null, because text not null, at real not null, answered_by text not null default '',
        answered_at real, remembered text not null default '', incident integer not null default 0,
        ca_before integer not null, key_before integer not null, told_in text not null default '',
        served text not null default '{}', unique (team, channel, tbs))""",
    "create index ct_cases_at on ct_cases (team, channel, at)",
    "create index ct_cases_open on ct_cases (team, channel) where state = 'open'",
    "create index ct_cases_of on ct_cases (tbs)",
    "create index ct_cases_incident on ct_cases (incident) where incident != 0",
    # What *Expected* remembered: kind is ca, key or certificate.
    """create table ct_approvals (
        team text not null, channel text not null, domain text not null, kind text not null, value text not null,
        by text not null, at real not null, primary key (team, channel, domain, kind, value))""",
    "create table ct_fills (domain text primary key, found text not null, at real not null)",
    # What was told of a log; `fact` names it, so that it is told once.
    """create table ct_events (
        id integer primary key, log_id text not null, log text not null, kind text not null, fact text not null,
        severity text not null, text text not null, evidence text not null, at real not null, ended_at real)""",
    "create index ct_events_of on ct_events (log_id, fact)",
    "create index ct_events_at on ct_events (at)",
    """create table ct_lookalikes (
        domain text not null, name text not null, why text not null, ca text not null, tbs text not null,
        log text not null, at real not null, primary key (domain, name)) without rowid""",
    "create index ct_lookalikes_at on ct_lookalikes (domain, at)",
)

_CT_NUMBERS = (
    """create table numbered_cases (
        id integer primary key autoincrement, team text not null, channel text not null, tbs text not null,
        domains text not null, state text not null, because text not null, at real not null,
        answered_by text not null default '', answered_at real, remembered text not null default '',
        incident integer not null default 0, ca_before integer not null, key_before integer not null,
        told_in text not null default '', served text not null default '{}', unique (team, channel, tbs))""",
    "insert into numbered_cases select * from ct_cases",
    # `told_in`: the event whose message tells of this one as well.
    """create table numbered_events (
        id integer primary key autoincrement, log_id text not null, log text not null, kind text not null,
        fact text not null, severity text not null, text text not null, evidence text not null, at real not null,
        ended_at real, told_in integer not null default 0)""",
    "insert into numbered_events select *, id from ct_events",
    "drop table ct_cases",
    "drop table ct_events",
    "alter table numbered_cases rename to ct_cases",
    "alter table numbered_events rename to ct_events",
    "create index ct_cases_at on ct_cases (team, channel, at)",
    "create index ct_cases_open on ct_cases (team, channel) where state = 'open'",
    "create index ct_cases_of on ct_cases (tbs)",
    "create index ct_cases_incident on ct_cases (incident) where incident != 0",
    "create index ct_cases_told_in on ct_cases (told_in) where told_in != ''",
    "create index ct_events_of on ct_events (log_id, fact)",
    "create index ct_events_at on ct_events (at)",
    "create index ct_events_told_in on ct_events (told_in)",
)
