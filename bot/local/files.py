"""Files: the external upload flow, what is stored, and the file objects that payloads show.

Sources: docs.slack.dev/messaging/working-with-files, docs.slack.dev/reference/objects/file-object. A finished upload is
shared asynchronously in Slack: the file object may have neither mimetype nor shares at first.
"""

import mimetypes
import secrets
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import quote

from bot.local.errors import ApiError, Json
from bot.local.team import Channel, Team

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_ALT = 1000
# docs.slack.dev/reference/block-kit/composition-objects/slack-file-object: "only png, jpg, jpeg, and gif".
_PICTURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8"}


@dataclass(slots=True, kw_only=True)
class File:
    """One file; *content* is ``None`` until it has been uploaded."""

    id: str
    name: str
    title: str
    user: str
    created: int
    length: int
    content: bytes | None = None
    alt: str = ""
    is_processed: bool = False
    shares: list[tuple[str, str, str | None]] = field(default_factory=list)
    """(channel, ts, thread_ts) of every message that shows it."""

    @property
    def mimetype(self) -> str:
        """By name; Slack looks inside, which for captures comes to the same: application/octet-stream."""
        return mimetypes.guess_type(self.name)[0] or "application/octet-stream"


@dataclass(slots=True)
class FileStore:
    """The files of a workspace, by id, and the upload tickets in circulation."""

    team: Team
    base_url: str = ""
    files: dict[str, File] = field(default_factory=dict)
    _tickets: dict[str, str] = field(default_factory=dict)

    def reserve(self, name: str, length: int, user: str) -> tuple[str, File]:
        """Announce an upload: its URL and the file to be."""
        file = self._new(name, length, user)
        ticket = secrets.token_urlsafe(18)
        self._tickets[ticket] = file.id
        return f"{self.base_url}/upload/v1/{ticket}", file

    def receive(self, ticket: str, content: bytes) -> File:
        """Take the bytes of an announced upload; raises ApiError."""
        file = self.files.get(self._tickets.get(ticket, ""))
        if file is None:
            raise ApiError("invalid_upload_url")
        if len(content) != file.length:
            raise ApiError("length_mismatch")
        del self._tickets[ticket]
        file.content = content
        return file

    def expects(self, ticket: str) -> bool:
        """Whether an upload URL with this ticket was given out and not used yet."""
        return ticket in self._tickets

    def add(self, name: str, content: bytes, user: str, title: str = "") -> File:
        """A file that is complete at once, as a person's upload is when its message appears."""
        file = self._new(name, len(content), user)
        file.content, file.is_processed = content, True
        file.title = title or file.title
        return file

    def _new(self, name: str, length: int, user: str) -> File:
        # A path in a name is nothing but its last part: names end up in URLs and in save dialogs.
        last = PurePosixPath(name.replace("\\", "/")).name
        safe = "".join(character for character in last if character.isprintable()).strip(". ")[:255] or "file"
        now = int(self.team.clock.now())
        file = File(id=self.team.new_id("F"), name=safe, title=safe, user=user, created=now, length=length)
        self.files[file.id] = file
        return file

    def file(self, file_id: str) -> File:
        """The file, or ApiError ``file_not_found``."""
        if file_id not in self.files:
            raise ApiError("file_not_found")
        return self.files[file_id]

    def is_picture(self, named: Json) -> bool:
        """Whether a block may show the file that *named* names, by id or by its address."""
        file = self.named(named)
        if file is None or not file.is_processed or file.content is None:
            return False
        magic = _PICTURES.get(file.mimetype)
        return magic is not None and file.content.startswith(magic)

    def named(self, named: Json) -> File | None:
        """The file that a ``slack_file`` object names."""
        if "id" in named:
            return self.files.get(str(named["id"]))
        return next((file for file in self.files.values() if self.base_url + self.path(file) == named.get("url")), None)

    def path(self, file: File) -> str:
        """Where the workspace serves it."""
        return f"/files/{file.id}/{quote(file.name, safe='')}"

    def described(self, file: File) -> Json:
        """The file object."""
        url = self.base_url + self.path(file)
        suffix = PurePosixPath(file.name).suffix.removeprefix(".").lower()
        shown: Json = {
            "id": file.id,
            "created": file.created,
            "timestamp": file.created,
            "name": file.name,
            "title": file.title,
            "mimetype": file.mimetype if file.is_processed else "",
            "filetype": (suffix or "binary") if file.is_processed else "",
            "pretty_type": suffix.upper() if file.is_processed else "",
            "user": file.user,
            "user_team": self.team.id,
            "editable": False,
            "size": file.length,
            "mode": "hosted",
            "is_external": False,
            "external_type": "",
            "is_public": True,
            "public_url_shared": False,
            "display_as_bot": False,
            "username": "",
            "url_private": url,
            "url_private_download": url,
            "permalink": url,
            "has_rich_preview": False,
            "file_access": "visible",
        } | ({"alt_txt": file.alt} if file.alt else {})
        return shown | self._places(file)

    def _places(self, file: File) -> Json:
        places: Json = {"channels": [], "groups": [], "ims": [], "shares": {}}
        for channel_id, ts, thread_ts in file.shares:
            channel = self.team.channels[channel_id]
            listed = places["ims" if channel.is_im else "groups" if channel.is_private else "channels"]
            if channel_id not in listed:
                listed.append(channel_id)
            visibility = "private" if channel.is_private or channel.is_im else "public"
            share: Json = {"ts": ts, "channel_name": channel.name, "team_id": self.team.id, "share_user_id": file.user}
            if thread_ts:
                share["thread_ts"] = thread_ts
            places["shares"].setdefault(visibility, {}).setdefault(channel_id, []).append(share)
        return places

    def share(self, file: File, channel: Channel, message: Json) -> None:
        """Note that *message* shows the file."""
        file.is_processed = True
        file.shares.append((channel.id, message["ts"], message.get("thread_ts")))
