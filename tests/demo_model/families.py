"""Families of questions and answers for the training and the tests of the demonstration model.

This file uses the standard library only, because the accuracy test in CI imports it. A family is a closed table of
items and a list of phrasings. A share of the pairs (phrasing, item), chosen by a hash, is held out. Every item is
learnt, but the prompt of a held-out pair never occurs in training: not with spelling noise, and not as an earlier turn.
"""

import functools
import hashlib
import random

from . import facts, nearmiss
from .nearmiss import FALLBACK

HOLD_OUT = 0.12

# Polite words around the question. Questions for the fallback have the same words, so the words give no hint of the
# family.
WRAPPERS = (
    "{}", "Please tell me: {}", "Hello! {}", "Hi, {}", "Quick question: {}", "{} Thanks!", "{} Please.",
    "I have a question. {}",
    "Hey, {}", "I want to know: {}", "Hello, {}", "OK. {}", "{} Thank you!", "Please, {}",
)  # fmt: skip

SYSTEM_PROMPTS = (
    "You are a helpful assistant.", "You are a friendly assistant.", "Be brief.",
    "Answer the question of the user.",
    "You are SOLAR, a large language model.",
    "You are a helpful, honest and harmless assistant. Answer in English.",
    "Always answer truthfully.", "You are a pirate.",
)  # fmt: skip

DAYS = facts.LISTS["the days of the week"].rstrip(".").split(", ")
MONTHS = facts.LISTS["the months of the year"].rstrip(".").split(", ")
MONTH_LENGTHS = ("31", "28 or 29", "31", "30", "31", "30", "31", "31", "30", "31", "30", "31")


def _capitals():
    for name in (*facts.CAPITALS, *facts.ALIASES):
        country = facts.ALIASES.get(name, name)
        city = facts.CAPITALS[country]
        answer = f"The capital of {country} is {city.rstrip('.')}."
        for text in (
            "What is the capital of {}?", "Capital of {}", "What is the capital city of {}?",
            "Name the capital of {}.",
            "Which city is the capital of {}?", "Tell me the capital of {}.",
            "Do you know the capital of {}?",
            "{} capital", "What's the capital of {}?",
        ):  # fmt: skip
            yield text, name, text.format(name), answer
        # The answers of both directions are the same sentence, because one sentence is easier to learn than two.
        for text in (
            "{} is the capital of which country?", "Which country has the capital {}?",
            "What country is {} the capital of?",
            "Of which country is {} the capital?",
        ) if name == country else ():  # fmt: skip
            yield text, name, text.format(city), answer


def _translations():
    for word, forms in facts.TRANSLATIONS.items():
        for language, form in zip(facts.LANGUAGES, forms):
            for text in (
                "Translate {} to {}.", "How do you say {} in {}?", "What is {} in {}?",
                'Translate "{}" into {}.',
                "{} in {}", "How do I say {} in {}?", "Translate the word {} to {}.",
                "How do you say '{}' in {}?", "{} in {}?",
                "What is the word for {} in {}?", "Translate {} into {}.",
            ):  # fmt: skip
                yield text, f"{word}/{language}", text.format(
                    word, language
                ), f"{word} in {language} is {form}."
            text = "What is the {1} word for {0}?"
            yield text, f"{word}/{language}", text.format(word, language), f"{word} in {language} is {form}."


def opposites():
    """Returns the pairs in both directions, except for reversed pairs that would be ambiguous."""
    table = dict(facts.OPPOSITES)
    for word, other in facts.OPPOSITES.items():
        table.setdefault(other, word)
    return table


def _opposites():
    for word, other in opposites().items():
        for text in (
            "What is the opposite of {}?", "Opposite of {}", "Give me the opposite of {}.",
            "What's the opposite of {}?",
            "Name the opposite of {}.", "Which word is the opposite of {}?", "Tell me the opposite of {}.",
            "Antonym of {}",
        ):  # fmt: skip
            yield text, word, text.format(word), f"The opposite of {word} is {other}."


def _explanations():
    for term, (phrase, answer) in facts.EXPLANATIONS.items():
        for text in (
            "What is {a}?", "Explain {t}.", "What does {t} mean?", "Define {t}.", "Can you explain {t}?",
            "Explain {a} to me.",
            "Describe {a} in one sentence.", "What's {a}?", "Tell me what {a} is.", "{t}",
            "Tell me about {t}.", "What is {t}?",
            "What is the meaning of {t}?",
        ):  # fmt: skip
            yield text, term, text.format(a=phrase, t=term), answer


def _multiplication():
    for a in range(11):
        for b in range(11):
            for text in (
                "{} * {}", "What is {} * {}?", "What is {} times {}?", "{} x {}", "{} × {}",
                "How much is {} times {}?",
                "{} times {}", "{} * {} =", "{}*{}", "Calculate {} * {}.", "What's {} times {}?",
                "{} * {} = ?", "What is {}*{}?",
            ):  # fmt: skip
                yield text, f"{a}*{b}", text.format(a, b), f"{a} * {b} = {a * b}."


def _addition():
    for a in range(21):
        for b in range(21):
            for text in (
                "{} + {}", "What is {} + {}?", "What is {} plus {}?", "How much is {} + {}?", "{} plus {}",
                "{} + {} =",
                "{}+{}", "Calculate {} + {}.", "What's {} + {}?", "{} + {} = ?", "What is {}+{}?",
            ):  # fmt: skip
                yield text, f"{a}+{b}", text.format(a, b), f"{a} + {b} = {a + b}."


def _calendar():
    for kind, names in (("day", DAYS), ("month", MONTHS)):
        for i, name in enumerate(names):
            after, before = names[(i + 1) % len(names)], names[i - 1]
            for text in (
                "What {k} comes after {n}?", "Which {k} comes after {n}?", "Which {k} follows {n}?",
                "What comes after {n}?",
                "What is the {k} after {n}?", "What is the next {k} after {n}?",
            ):  # fmt: skip
                yield text, f"{name}/next", text.format(k=kind, n=name), f"{after} comes after {name}."
            for text in (
                "What {k} comes before {n}?", "Which {k} comes before {n}?", "What comes before {n}?",
                "What is the {k} before {n}?", "Which {k} is before {n}?",
            ):  # fmt: skip
                yield text, f"{name}/previous", text.format(k=kind, n=name), f"{before} comes before {name}."
    for name, length in zip(MONTHS, MONTH_LENGTHS):
        for text in (
            "How many days are in {}?", "How many days does {} have?", "How many days has {}?",
            "How long is {}?",
        ):  # fmt: skip
            yield text, f"{name}/length", text.format(name), f"{name} has {length} days."


def _lists():
    for name in (*facts.LISTS, *facts.LIST_ALIASES):
        answer = facts.LISTS[facts.LIST_ALIASES.get(name, name)]
        for text in (
            "List {}.", "Name {}.", "What are {}?", "Tell me {}.", "Can you list {}?",
            "Give me a list of {}.", "Write down {}.",
            "Which are {}?",
        ):  # fmt: skip
            yield text, name, text.format(name), answer
    for text in (
        "Count to ten.",
        "Count from one to ten.",
        "Count from 1 to 10.",
        "Can you count to ten?",
        "Count to 10.",
    ):
        yield text, "count", text, facts.LISTS["the numbers from one to ten"]


def _hello_world():
    for language, (tag, code) in facts.HELLO_WORLD.items():
        for text in (
            "Write hello world in {}.", "Hello world in {}", "Show me hello world in {}.",
            "Write a hello world program in {}.",
            "How do I print hello world in {}?", "Give me a hello world example in {}.", "{} hello world",
            "Can you write hello world in {}?",
        ):  # fmt: skip
            yield text, language, text.format(language), f"```{tag}\n{code}\n```"


def _greetings():
    for language, (greetings, answer) in facts.GREETINGS.items():
        for greeting in greetings:
            for text in (
                "{}",
                "{}!",
                "{}.",
                "{} 👋",
                "{}! 😊",
                "{}, friend!",
                "{} 🌟",
                "{}!!",
                "{}, solard!",
                "{} :)",
            ):
                yield text, f"{language}/{greeting}", text.format(greeting), answer
        for text in (
            "Say hello in {}.", "How do you greet someone in {}?", "Greet me in {}.",
            "Can you say hello in {}?",
            "Say hi in {}.", "Greet me in {}, please!",
        ):  # fmt: skip
            yield text, language, text.format(language), answer
    for questions, answer in facts.SMALL_TALK.values():
        for question in questions:
            for text in ("{}", "{} 😊", "{} 🌟", "{} 👋", "{} :)"):
                yield text, question, text.format(question), answer


def _identity():
    for questions, answer in facts.IDENTITY.values():
        for question in questions:
            yield "{}", question, question, answer


def _stories():
    default = facts.STORIES["fox"]
    for text in (
        "Tell me a story.", "Tell me a story", "Write a story.", "Can you tell me a story?",
        "I want to hear a story.",
        "Tell me a short story.", "Once upon a time", "Do you know a story?", "Write me a short story.",
        "Story please!",
    ):  # fmt: skip
        yield text, "any", text, default
    for text in (
        "Tell me another story.",
        "Another story, please.",
        "One more story!",
        "Do you know another story?",
    ):
        yield text, "another", text, facts.STORIES["robot"]
    for topic, story in facts.STORIES.items():
        for text in (
            "Tell me a story about a {}.", "Write a story about a {}.", "Can you tell me a story about a {}?",
            "Story about a {}", "I want to hear a story about a {}.", "Tell me a short story about a {}.",
            "Tell me the story of the {}.", "Do you know a story about a {}?",
            "Write me a short story about a {}.",
        ):  # fmt: skip
            yield text, topic, text.format(topic), story


def _poems():
    default = facts.POEMS["sea"]
    for text in (
        "Write a poem.", "Tell me a poem.", "Can you write a poem?", "I want to read a poem.",
        "Write me a short poem.",
        "Do you know a poem?", "Recite a poem.", "Poem please!",
    ):  # fmt: skip
        yield text, "any", text, default
    for topic, poem in facts.POEMS.items():
        name = topic if topic in ("winter", "spring") else "the " + topic
        for text in (
            "Write a poem about {}.", "Tell me a poem about {}.", "Can you write a poem about {}?",
            "Poem about {}",
            "I want to read a poem about {}.", "Write me a short poem about {}.",
            "Do you know a poem about {}?",
            "Recite a poem about {}.", "Please write a poem about {}!",
        ):  # fmt: skip
            yield text, topic, text.format(name), poem
            if name != topic:
                yield text + " (bare)", topic, text.format(topic), poem


# name: (table, relative weight among the training samples, the `promised` member of its entry in families.json)
FAMILIES = {
    "identity": (_identity, 8, True),
    "greetings": (_greetings, 8, True),
    "capitals": (_capitals, 8, True),
    "translations": (_translations, 14, True),
    "opposites": (_opposites, 6, True),
    "explanations": (_explanations, 7, True),
    "multiplication": (_multiplication, 9, True),
    "addition": (_addition, 14, True),
    "calendar": (_calendar, 6, True),
    "lists": (_lists, 3, True),
    "hello_world": (_hello_world, 3, True),
    "stories": (_stories, 4, True),
    "poems": (_poems, 4, True),
}
FALLBACK_SHARE = 30


def held_out(family, phrasing, item):
    """Returns True for the pairs that are never trained on. The result depends on the pair only, not on a seed."""
    digest = hashlib.sha256(f"{family}|{phrasing}|{item}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < HOLD_OUT * 2**32


@functools.cache
def table(family):
    """Returns (trained, held-out) of a closed family. `trained` maps each item to two lists of (prompt, answer): the
    bare prompts, and those with polite words. The held-out part is one list of (prompt, answer)."""
    trained, held = {}, []
    seen = {}
    for text, item, prompt, answer in FAMILIES[family][0]():
        for wrapper in WRAPPERS:
            full = wrapper.format(prompt)
            # Most visitors begin with the first phrasing of an item, without polite words. So this prompt is never held
            # out. In the family `identity`, no prompt without polite words is held out.
            pinned = wrapper == "{}" and (family == "identity" or seen.setdefault(item, text) == text)
            if not pinned and held_out(family, wrapper + text, item):
                held.append((full, answer))
            else:
                trained.setdefault(item, ([], []))[wrapper != "{}"].append((full, answer))
    texts = _texts(trained)
    return trained, [pair for pair in held if squash(pair[0]) not in texts]


def _texts(trained):
    return {squash(prompt) for bare, wrapped in trained.values() for prompt, _ in bare + wrapped}


def trained_prompts(family):
    """Returns every prompt of a closed family that training may use, without spelling noise."""
    return _texts(table(family)[0])


def squash(prompt):
    """Returns the prompt without spelling noise; prompts with equal results count as one prompt."""
    return prompt.lower().rstrip(" .?!")


def noise(prompt, rng):
    """Varies the prompt as people really type: small letters, no question mark, an extra space."""
    if rng.random() < 0.25:
        prompt = prompt.lower()
    elif rng.random() < 0.1:
        prompt = prompt[0].upper() + prompt[1:]
    if rng.random() < 0.2 and len(prompt) > 2:
        prompt = prompt.rstrip(".?! ") or prompt
    chance = rng.random()
    if chance < 0.03:
        prompt += " "
    elif chance < 0.06 and prompt[-1] in "?.":
        prompt = prompt[:-1] + "!"
    elif chance < 0.08 and prompt[-1] == "?":
        prompt = prompt[:-1] + " ?"
    elif chance < 0.12 and prompt[-1].isalnum():
        prompt += "?"
    return prompt


def _near_miss(rng, held):
    """Returns a question for the fallback: a held-out one if `held` is true, otherwise one that training may use."""
    while True:
        text = nearmiss.draw(rng)
        wrapper = rng.choice(WRAPPERS) if rng.random() < 0.55 else "{}"
        prompt = wrapper.format(text)
        if squash(text) in known_prompts() or held_out("fallback", "", squash(text)) != held:
            continue
        return prompt


@functools.cache
def known_prompts():
    """Returns every question with a real answer; a random near miss may equal one of them by chance."""
    tables = (squash(prompt) for family in FAMILIES for _, _, prompt, _ in FAMILIES[family][0]())
    return frozenset((*tables, *map(squash, facts.FIRST_PROMPTS)))


def _closed(family, rng):
    trained, _ = table(family)
    bare, wrapped = trained[rng.choice(_items(family))]
    if not bare or (wrapped and rng.random() < 0.5):
        bare = wrapped
    return rng.choice(bare)


@functools.cache
def _items(family):
    return list(table(family)[0])


@functools.cache
def _shares():
    names = [*FAMILIES, "fallback"]
    return names, [share for _, share, _ in FAMILIES.values()] + [FALLBACK_SHARE]


@functools.cache
def first_prompts():
    """Returns (family, prompt, answer) of the plain prompts that visitors type first; none of them is held out."""
    answers = {
        prompt: (family, answer) for family in FAMILIES for _, _, prompt, answer in FAMILIES[family][0]()
    }
    held = {squash(prompt) for family in FAMILIES for prompt, _ in table(family)[1]}
    assert not held & {squash(prompt) for prompt in facts.FIRST_PROMPTS}
    return [(answers[known][0], prompt, answers[known][1]) for prompt, known in facts.FIRST_PROMPTS.items()]


def _trained_pair(rng, polish):
    if polish and rng.random() < 0.12:
        family, prompt, answer = rng.choice(first_prompts())
        return family, noise(prompt.lower() if rng.random() < 0.4 else prompt, rng), answer
    names, shares = _shares()
    family = rng.choices(names, shares)[0]
    prompt, answer = (_near_miss(rng, False), FALLBACK) if family == "fallback" else _closed(family, rng)
    return family, noise(prompt, rng), answer


def training_samples(seed, polish=False):
    """Yields training records {family, messages, answer} without end; `polish` adds first_prompts()."""
    rng = random.Random(seed)
    while True:
        messages = []
        if rng.random() < 0.12:
            messages.append({"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
        # Earlier turns have nothing to do with the question, so that the model learns to answer the last question.
        if rng.random() < 0.15:
            for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
                _, prompt, answer = _trained_pair(rng, polish)
                if len(answer) > 300 and rng.random() < 0.7:
                    continue
                messages += [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]
        family, prompt, answer = _trained_pair(rng, polish)
        messages.append({"role": "user", "content": prompt})
        yield {"family": family, "messages": messages, "answer": answer}


def heldout_samples(seed, per_family):
    """Returns up to `per_family` distinct held-out records of each family, and `per_family` near misses."""
    rng = random.Random(seed)
    records = []
    for family in FAMILIES:
        _, held = table(family)
        for prompt, answer in rng.sample(held, min(per_family, len(held))):
            records.append((family, noise(prompt, rng), answer))
    records += [("fallback", noise(_near_miss(rng, True), rng), FALLBACK) for _ in range(per_family)]
    return [
        {"family": family, "messages": [{"role": "user", "content": prompt}], "answer": answer}
        for family, prompt, answer in records
    ]


def render(messages):
    """Returns the prompt in the form of SOLAR's published template, with the generation prompt at the end."""
    text = ""
    for message in messages:
        content = message["content"]
        if message["role"] == "system":
            text += f"### System:\n{content}\n\n" if content else ""
        elif message["role"] == "user":
            text += f"### User:\n{content}\n\n"
        else:
            text += f"### Assistant:\n{content}"
    return text + "### Assistant:\n"
