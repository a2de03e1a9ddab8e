"""What sampling and the rules for the end of an answer must do, written in plain Python.

The order of the steps is the one that `inference/sampling/sampler.hpp` promises; the random numbers are Philox4x32-10
(Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), keyed by seed, choice, position and token.
"""

import dataclasses
import math

import numpy

from reference_model import EOS, VOCABULARY, piece_bytes, text_of

# The server computes logits with 16-bit weights and another order of additions. Differences below this bound decide
# nothing.
LOGIT_TOLERANCE = 0.08
MASS_TOLERANCE = 0.02  # for the sum of probabilities that top_p compares


@dataclasses.dataclass
class Sampling:
    """The meaning of a request's fields; the defaults are those of a request without any field."""

    temperature: float = 1
    top_p: float = 1
    min_p: float = 0
    top_k: int = 0
    repetition_penalty: float = 1
    frequency_penalty: float = 0
    presence_penalty: float = 0
    seed: int | None = None  # None: random
    logit_bias: dict = dataclasses.field(default_factory=dict)
    stop: list = dataclasses.field(default_factory=list)
    stop_token_ids: list = dataclasses.field(default_factory=list)
    min_tokens: int = 0
    ignore_eos: bool = False
    max_tokens: int = 1
    skip_special_tokens: bool = True

    def end_tokens(self):
        return {*self.stop_token_ids, *([] if self.ignore_eos else [EOS])}


def _philox(counter, key):
    """Returns the first word for each counter; `counter` is four arrays, `key` two numbers."""
    counter = [numpy.asarray(word, dtype=numpy.uint64) for word in counter]
    low = numpy.uint64(0xFFFFFFFF)
    for _ in range(10):
        first, third = numpy.uint64(0xD2511F53) * counter[0], numpy.uint64(0xCD9E8D57) * counter[2]
        counter = [
            (third >> numpy.uint64(32)) ^ counter[1] ^ numpy.uint64(key[0]),
            third & low,
            (first >> numpy.uint64(32)) ^ counter[3] ^ numpy.uint64(key[1]),
            first & low,
        ]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return counter[0]


def _noise(seed, choice, position):
    tokens = numpy.arange(VOCABULARY)
    constant = [numpy.full(VOCABULARY, value) for value in (position, choice, 0)]
    words = _philox([tokens, *constant], [seed % 2**32, seed // 2**32])
    return -numpy.log(-numpy.log((words + 0.5) / 2**32))


def _changed(logits, sampling, prompt, answer):
    """Returns the logits after biases, penalties and bans."""
    logits = logits.copy()
    for token, bias in sampling.logit_bias.items():
        logits[token] += bias
    for token in {*prompt, *answer}:
        penalty = sampling.repetition_penalty
        logits[token] = logits[token] / penalty if logits[token] > 0 else logits[token] * penalty
    for token in set(answer):
        logits[token] -= answer.count(token) * sampling.frequency_penalty + sampling.presence_penalty
    if len(answer) < sampling.min_tokens:
        logits[list(sampling.end_tokens())] = -math.inf
    return logits


def _kept(logits, sampling, temperature, slack):
    """Returns which tokens top_k, top_p and min_p keep. A positive slack keeps those at the edge, a negative one drops them."""
    tolerance = math.copysign(LOGIT_TOLERANCE * (1 + 1 / sampling.repetition_penalty), slack)
    best = logits.max()
    kept = numpy.isfinite(logits)
    if 0 < sampling.top_k < VOCABULARY:
        kept &= logits >= numpy.sort(logits)[-sampling.top_k] - tolerance
        kept[logits.argmax()] = True
    probability = numpy.where(kept, numpy.exp((logits - best) / temperature), 0)
    probability /= probability.sum()
    # The mass of all tokens that are likelier than each one, where near ones count as it is against or for the token.
    order = numpy.argsort(-logits)
    mass = numpy.concatenate([[0], numpy.cumsum(probability[order])])
    likelier = numpy.searchsorted(-logits[order], -logits - tolerance)
    own = probability if slack < 0 else 0
    kept &= mass[likelier] - own < sampling.top_p + math.copysign(MASS_TOLERANCE, slack)
    if sampling.min_p > 0:
        kept &= (logits - best) >= temperature * math.log(sampling.min_p) - tolerance
    kept[logits.argmax()] = True  # the likeliest token is always kept
    return kept


def plausible(logits, sampling, prompt, answer, choice):
    """Returns which tokens may follow `answer`: one, or several if they are too close to decide."""
    logits = _changed(logits, sampling, prompt, answer)
    tolerance = LOGIT_TOLERANCE * (1 + 1 / sampling.repetition_penalty)
    temperature = float(numpy.float32(sampling.temperature))
    if temperature == 0:
        return logits >= logits.max() - tolerance
    wide = _kept(logits, sampling, temperature, +1)
    if sampling.seed is None:
        return wide
    narrow = _kept(logits, sampling, temperature, -1)
    position = len(prompt) + len(answer)
    scores = (logits - logits.max()) / temperature + _noise(sampling.seed, choice, position)
    return wide & (scores >= scores[narrow].max() - tolerance / temperature)


def _first_stop(text, stops):
    """Returns (begin, stop) of the match that ends first; of several with the same end, the longest."""
    matches = [(text.find(stop), stop) for stop in stops]
    ends = [(begin + len(stop), -len(stop), begin, stop) for begin, stop in matches if begin >= 0]
    return min(ends)[2:] if ends else None


def ending(tokens, sampling):
    """Returns (text, finish_reason, stop_reason) of an answer that consists of these tokens, or None if it cannot end there."""
    def text(some):
        return text_of(some, sampling.skip_special_tokens)

    last = len(tokens)
    if last > sampling.min_tokens and tokens[-1] in sampling.end_tokens():
        reason = tokens[-1] if tokens[-1] in sampling.stop_token_ids and (sampling.ignore_eos or tokens[-1] != EOS) else None
        return text(tokens[:-1]), "stop", reason  # a token that ends the answer adds no text
    # Stop strings are looked for in the text from the token on that reaches min_tokens.
    exempt = tokens[: max(sampling.min_tokens - 1, 0)]
    before, after = text(exempt), text(tokens)[len(text(exempt)) :]
    match = _first_stop(after.encode(), [stop.encode() for stop in sampling.stop])
    if match:
        return before + after.encode()[: match[0]].decode(), "stop", match[1].decode()
    return (text(tokens), "length", None) if last == sampling.max_tokens else None
