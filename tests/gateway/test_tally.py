"""What is remembered of a session: how often, at what cost, where last."""

from __future__ import annotations

from tests.gateway.house import before_sandbox, message

SESSION = "5f0c6f0e-1111-4c53-9d0a-2b8d6a1e0c11"


def test_a_session_is_summed_and_told_on_its_page() -> None:
    with before_sandbox({"answers": [{"text": "Hello."}]}) as (house, _):
        assert house.get(f"/sessions/{SESSION}").status_code == 404
        for _ in range(2):
            house.post("/v1/messages", message(), x_claude_code_session_id=SESSION)
        house.post("/v1/messages", message(), x_claude_code_session_id="another")
        found = house.get(f"/sessions/{SESSION}").json()
    assert found["requests"] == 2
    assert found["provider"] == "claude"
    assert found["rule"] == "default"


def test_a_session_is_told_by_a_gateway_that_only_observes() -> None:
    with before_sandbox({"answers": [{"text": "Hello."}]}, observe=True) as (house, _):
        house.post("/v1/messages", message(), x_claude_code_session_id=SESSION)
        assert house.get(f"/sessions/{SESSION}").json()["requests"] == 1
