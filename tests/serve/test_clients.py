"""What clients do with the port: the `openai` client, and Anthropic's route by plain HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest
from tests.serve.conftest import Served

from bringup.machine.http import Endpoint, request

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "maxLength": 20}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{served.base_url}/v1", api_key=served.home.key, max_retries=0) as made:
        yield made


def test_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="small",
        messages=[{"role": "user", "content": "Say hello."}],
        max_tokens=8,
        temperature=0,
    )
    assert answer.model == "small"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 0 < answer.usage.completion_tokens <= 8


def test_streamed_chat_is_the_same_answer(client: openai.OpenAI) -> None:
    def ask(*, stream: bool) -> str:
        options = {"max_tokens": 12, "temperature": 0, "seed": 1}
        answer = client.chat.completions.create(  # type: ignore[call-overload]
            model="small", messages=[{"role": "user", "content": "Count."}], stream=stream, **options
        )
        if not stream:
            return str(answer.choices[0].message.content)
        return "".join(chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices)

    assert ask(stream=True) == ask(stream=False)


def test_an_answer_by_schema_fits_it(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="small",
        messages=[{"role": "user", "content": "A big city and how many people live there, as JSON."}],
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}},
        max_tokens=80,
        temperature=0,
    )
    told = json.loads(answer.choices[0].message.content or "")
    assert isinstance(told["city"], str) and isinstance(told["people"], int) and len(told) == 2


def test_completions(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="small", prompt="One, two,", max_tokens=4, temperature=0)
    assert "three" in answer.choices[0].text


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["small"]


def test_a_wrong_key_is_refused(served: Served) -> None:
    with (
        openai.OpenAI(base_url=f"{served.base_url}/v1", api_key="bringup-guess", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError),
    ):
        stranger.models.list()


def test_embeddings(served_embeddings: Served) -> None:
    with openai.OpenAI(
        base_url=f"{served_embeddings.base_url}/v1", api_key=served_embeddings.home.key, max_retries=0
    ) as client:
        told = client.embeddings.create(model="any", input=["a cat", "a dog"], encoding_format="float")
    assert [len(one.embedding) for one in told.data] == [576, 576]
    assert told.data[0].embedding != told.data[1].embedding


def test_messages_in_anthropic_style(served: Served) -> None:
    body = {"model": "small", "max_tokens": 8, "messages": [{"role": "user", "content": "Say hello."}]}
    endpoint = Endpoint("127.0.0.1", served.port, served.home.key)
    answer = request(endpoint, "POST", "/v1/messages", body=body, timeout_s=30)
    told = json.loads(answer.body)
    assert (answer.status, told["type"], told["role"]) == (200, "message", "assistant")
    assert told["content"][0]["text"]
    assert told["usage"]["output_tokens"] <= 8
