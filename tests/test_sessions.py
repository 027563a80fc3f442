"""The HTTP session that two of the client libraries are given."""

from typing import Any

import pytest
import requests

from widget.providers.sessions import TIMEOUT_SECONDS, BoundedSession


def test_the_time_limits_are_ours_whatever_a_library_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}
    monkeypatch.setattr(requests.Session, "request", lambda *_, **options: sent.update(options))
    with BoundedSession() as session:
        session.get("http://127.0.0.1:1/", timeout=900)
    assert sent["timeout"] == TIMEOUT_SECONDS == (2.0, 5.0)


def test_a_password_file_does_not_replace_the_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "netrc").write_text("default login somebody password else")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    sent: list[requests.PreparedRequest] = []
    with BoundedSession() as session:
        monkeypatch.setattr(session, "send", lambda request, **_: sent.append(request))
        session.get("http://127.0.0.1:1/", headers={"Authorization": "Bearer key"})
    assert sent[0].headers["Authorization"] == "Bearer key"
