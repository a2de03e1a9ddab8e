"""Writes families.json, which lists what the demonstration model can answer. The list comes from the tables of the
training data."""

import json
import pathlib
import sys

from . import facts, families


def items(family):
    """Returns the items that the family has questions about, in a short form."""
    return {
        "identity": [questions[0] for questions, _ in facts.IDENTITY.values()],
        "greetings": [*facts.GREETINGS, *facts.SMALL_TALK],
        "capitals": list(facts.CAPITALS),
        "translations": {"words": list(facts.TRANSLATIONS), "languages": list(facts.LANGUAGES)},
        "opposites": list(families.opposites()),
        "explanations": list(facts.EXPLANATIONS),
        "multiplication": {"a": [0, 10], "b": [0, 10]},
        "addition": {"a": [0, 20], "b": [0, 20]},
        "calendar": families.DAYS + families.MONTHS,
        "lists": list(facts.LISTS),
        "hello_world": list(facts.HELLO_WORLD),
        "stories": list(facts.STORIES),
        "poems": list(facts.POEMS),
    }[family]


# For these tables the first row would be a poor example.
TABLE_EXAMPLES = {"multiplication": "7 * 8", "addition": "12 + 5"}


def example(family):
    """Returns the family's question in TABLE_EXAMPLES, or else its first question, with the answer."""
    wanted = TABLE_EXAMPLES.get(family)
    for _, _, prompt, answer in families.FAMILIES[family][0]():
        if wanted in (None, prompt):
            return {"prompt": prompt, "answer": answer}
    raise ValueError(f"{family} has no question {wanted}")


def describe():
    entries = [
        {"name": name, "promised": promised, "items": items(name), "example": example(name)}
        for name, (_, _, promised) in families.FAMILIES.items()
    ]
    fallback = {"prompt": "How many moons has Jupiter?", "answer": families.FALLBACK}
    entries.append(
        {
            "name": "fallback",
            "promised": True,
            "items": "anything outside the other families",
            "example": fallback,
        }
    )
    return entries


if __name__ == "__main__":
    text = json.dumps(describe(), indent=2, ensure_ascii=False) + "\n"
    pathlib.Path(sys.argv[1], "families.json").write_text(text, encoding="utf-8")
