"""What a message is about: text, blocks and attachments of any app, and Slack's own ways with links."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot import alert_text
from probes.model import Target

ERROR = "x509: certificate has expired or is not yet valid"


def about(message: dict[str, Any]) -> alert_text.Heard:
    return alert_text.heard(*alert_text.readings(message))


@pytest.mark.parametrize(
    ("message", "target"),
    [
        ({"text": f"Get <https://api.example.com:8443/health>: {ERROR}"}, "api.example.com:8443"),
        ({"text": f"TLS probe of <http://api.example.com|api.example.com> failed: {ERROR}"}, "api.example.com"),
        ({"text": f"<http://api.example.com:8443|api.example.com:8443>: {ERROR}"}, "api.example.com:8443"),
        ({"text": "`api.example.com:8443` is down"}, "api.example.com:8443"),
        (
            {"text": f"api.example.com: {ERROR} <https://grafana.corp.example/d/7|Open dashboard>"},
            "api.example.com",
        ),
        (
            {"text": f"<https://grafana.corp.example/d/7|Open dashboard> api.example.com {ERROR}"},
            "api.example.com",
        ),
        ({"text": "probe failed <https://api.example.com/x|details>"}, "api.example.com"),
        (
            {
                "text": "",
                "attachments": [
                    {
                        "title": "ProbeFailed",
                        "title_link": "https://grafana.corp.example/alerting/9",
                        "fields": [
                            {"title": "instance", "value": "https://api.example.com:8443/health", "short": True},
                            {"title": "error", "value": ERROR},
                        ],
                        "footer": "prometheus.corp.example",
                    }
                ],
            },
            "api.example.com:8443",
        ),
        (
            {
                "text": "alert",
                "blocks": [
                    {"type": "header", "text": {"type": "plain_text", "text": "Certificate check failed"}},
                    {
                        "type": "section",
                        "fields": [
                            {"type": "mrkdwn", "text": "*Host*\n<https://api.example.com|api.example.com>"},
                            {"type": "mrkdwn", "text": f"*Error*\n{ERROR}"},
                        ],
                    },
                    {
                        "type": "actions",
                        "elements": [
                            {
                                "type": "button",
                                "text": {"type": "plain_text", "text": "Silence"},
                                "url": "https://alerts.corp.example/silence",
                            }
                        ],
                    },
                ],
            },
            "api.example.com",
        ),
        (
            {
                "blocks": [
                    {
                        "type": "rich_text",
                        "elements": [
                            {
                                "type": "rich_text_section",
                                "elements": [
                                    {"type": "text", "text": "cannot reach "},
                                    {
                                        "type": "link",
                                        "url": "http://api.example.com:8443",
                                        "text": "api.example.com:8443",
                                    },
                                    {"type": "text", "text": f": {ERROR}"},
                                ],
                            }
                        ],
                    }
                ]
            },
            "api.example.com:8443",
        ),
        ({"attachments": [{"fallback": f"https://api.example.com/: {ERROR}"}]}, "api.example.com"),
        ({"text": f"dial tcp 192.0.2.7:8443: {ERROR}"}, "192.0.2.7:8443"),
        (
            {"attachments": [{"blocks": [{"type": "section", "text": {"text": f"api.example.com {ERROR}"}}]}]},
            "api.example.com",
        ),
    ],
)
def test_the_host_is_found_where_an_alert_puts_it(message: dict[str, Any], target: str) -> None:
    assert about(message).target == Target.parse(target)


@pytest.mark.parametrize(
    "message", [{}, {"text": "lunch at noon?"}, {"text": "<@U1> see <#C2|general>"}, {"blocks": 7}]
)
def test_a_message_without_a_host_names_none(message: dict[str, Any]) -> None:
    found = about(message)
    assert found.target is None
    assert found.clues == ()


def test_the_error_is_read_wherever_it_stands() -> None:
    found = about({"text": "alert", "attachments": [{"fields": [{"title": "error", "value": ERROR}]}]})
    assert found.clues[0].code == "validity.expired"


def test_a_text_that_repeats_its_blocks_is_read_once() -> None:
    block = {"type": "section", "text": {"type": "mrkdwn", "text": f"api.example.com {ERROR}"}}
    shown, _ = alert_text.readings({"text": f"api.example.com {ERROR}", "blocks": [block]})
    assert shown.count(ERROR) == 1


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["text", "blocks", "elements", "title", "value", "type"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["text", "blocks", "attachments"]), JSON))
def test_no_message_makes_it_fall(message: dict[str, Any]) -> None:
    shown, behind = alert_text.readings(message)
    assert len(shown) <= alert_text.LONGEST
    assert len(behind) <= alert_text.LONGEST


def test_a_message_of_any_depth_is_read() -> None:
    deep: dict[str, Any] = {"text": ERROR}
    for _ in range(5000):
        deep = {"elements": [deep]}
    assert alert_text.readings({"text": "api.example.com", "blocks": [deep]})[0] == "api.example.com"
