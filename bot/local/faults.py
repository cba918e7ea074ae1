"""The misbehaviour of a workspace: what Slack does on a bad day, switched on for a test or a demonstration."""

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Answer:
    """A wrong answer that the next *times* calls of *method* get instead of the right one.

    With *takes_effect* the call is carried out first and only its answer is lost: the case that idempotency is for.
    *error* is Slack's code in a 200 answer; *retry_after_s* makes it a 429; another *status* gives a bare HTTP error.
    With none of them the right answer is given, *delay_s* late.
    """

    method: str
    times: int = 1
    error: str | None = None
    retry_after_s: int | None = None
    status: int = 200
    delay_s: float = 0.0
    takes_effect: bool = False


@dataclass(slots=True, kw_only=True)
class Faults:
    """Switches; each may be changed at any time and holds until it is changed back."""

    deliver_twice: bool = False
    """Every envelope or request is sent a second time with the same payload (and event_id)."""
    deliver_to_all: bool = False
    """Socket Mode: every connection gets a copy of every envelope."""
    disconnect_before_next: str | None = None
    """Socket Mode: the connection chosen for the next envelope gets a disconnect frame with this reason instead."""
    lose_acks: int = 0
    """The next so many acknowledgements are not seen."""
    omit_container_thread_ts: bool = False
    """block_actions come without the undocumented container.thread_ts."""
    share_files_after_s: float = 0.0
    """An uploaded file is shared this much later than files.completeUploadExternal answered."""
    type_files_after_s: float = 0.0
    """A file that is uploaded for blocks alone has no mimetype, and cannot be shown, before this much later."""
    lose_shares: int = 0
    """The next so many uploads are answered with ok and never shared."""
    answers: list[Answer] = field(default_factory=list)

    def answer(
        self,
        method: str,
        *,
        times: int = 1,
        error: str | None = None,
        retry_after_s: int | None = None,
        status: int = 200,
        delay_s: float = 0.0,
        takes_effect: bool = False,
    ) -> None:
        """Give the next *times* calls of *method* ("*" for any) this answer instead of the right one."""
        self.answers.append(
            Answer(
                method=method,
                times=times,
                error=error,
                retry_after_s=retry_after_s,
                status=status,
                delay_s=delay_s,
                takes_effect=takes_effect,
            )
        )

    def due(self, method: str) -> Answer | None:
        """Take one use of the first answer meant for *method*."""
        for answer in self.answers:
            if answer.method in {method, "*"}:
                answer.times -= 1
                if answer.times <= 0:
                    self.answers.remove(answer)
                return answer
        return None

    def ack_is_lost(self) -> bool:
        """Take one of *lose_acks*."""
        if self.lose_acks <= 0:
            return False
        self.lose_acks -= 1
        return True
