"""instructor: typed answers by tools, by JSON and by a schema."""

from typing import Literal

import pytest

from support import client_library

instructor = client_library("instructor")
exceptions = client_library("instructor.core.exceptions")
openai = client_library("openai")
pydantic = client_library("pydantic")


class City(pydantic.BaseModel):
    """A city and its country."""

    name: Literal["Paris"]
    country: Literal["France"]
    letters: int = pydantic.Field(ge=5, le=5)
    code: str = pydantic.Field(pattern="^[A-Z]{2}$", max_length=2)


def client(server, mode):
    plain = openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=0)
    return instructor.from_openai(plain, mode=mode)


def question(server):
    return {"model": server.model, "messages": [{"role": "user", "content": "Where is Paris?"}], "temperature": 0, "max_tokens": 200}


@pytest.mark.parametrize("mode", [instructor.Mode.TOOLS, instructor.Mode.JSON_SCHEMA])
def test_answer_has_the_type(server, mode):
    city = client(server, mode).chat.completions.create(response_model=City, max_retries=0, **question(server))
    assert (city.name, city.country, city.letters) == ("Paris", "France", 5)
    assert len(city.code) == 2 and city.code.isupper()


def test_any_json_object_is_an_object_or_the_beginning_of_one(server):
    """In this mode, the wanted members are only a part of the prompt, which the demonstration model does not understand."""

    class Anything(pydantic.BaseModel, extra="allow"):
        pass

    try:
        answer = client(server, instructor.Mode.JSON).chat.completions.create(
            response_model=Anything, max_retries=0, **question(server)
        )
    except exceptions.IncompleteOutputException as cut:
        assert cut.last_completion.choices[0].message.content.startswith("{")
    else:
        assert isinstance(answer.model_dump(), dict)
