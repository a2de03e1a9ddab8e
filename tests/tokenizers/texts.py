"""The text on which the tokenizers of the tests are trained, and the texts that the tests encode."""

import random

# Sentences written for this file. They are short, so that a small vocabulary learns pieces of every script.
CORPUS = """
The quick brown fox jumps over the lazy dog. It's what they've said: we'll see, I'm sure, you'd know.
A server answers a request. The scheduler plans a step, and the engine computes it.
In 1969, 12 people and 345 machines counted to 1000000; pi is 3.14159.
def main():\n    for i in range(10):\n        print(i * 2)\n    return None
if (a[0] != b && c >= 7) { x = "text"; y = {'key': [1, 2, 3]}; }
Die Straße führt über die Brücke, und der Fluß fließt. Größe, Äpfel, Öl, Übung.
Le café est fermé où l'été a été très doux. Ça va bien, à bientôt.
안녕하세요 세계. 오늘은 날씨가 좋습니다. 한국어 문장을 나누어 봅시다. 감사합니다.
우리는 모델을 학습합니다. 서버는 요청에 대답합니다.
Быстрая лиса прыгает через ленивую собаку. Сервер отвечает на запрос. Спасибо, до свидания.
مرحبا بالعالم. الخادم يجيب على الطلب. شكرا جزيلا، إلى اللقاء.
नमस्ते दुनिया। सर्वर अनुरोध का उत्तर देता है। धन्यवाद।
你好，世界。服务器回答请求。今天天气很好，谢谢。
こんにちは世界。サーバーは要求に答えます。ありがとう。
Γειά σου Κόσμε. Ο διακομιστής απαντά στο αίτημα. Ευχαριστώ.
สวัสดีชาวโลก เซิร์ฟเวอร์ตอบคำขอ ขอบคุณ
""".strip().split("\n")

ATOMS = [
    "Hello, world.", "it's WE'LL I'M you'd 'tis 'S", "foo_bar baz-qux", "a", "aaaaaaaaaaaaaaaaaaaaaaaa",
    "12345 3.14159 1,000,000 007", "x=1;y[2]!=3&&z", "{\"json\": [1, 2]}", "def f():\n\treturn 1\n", "### User:\nhi\n\n",
    " ", "  ", "   ", "        ", "\n", "\n\n\n", "\r\n", "\t", " \n ", "\t \t", "\u00a0", "\u3000", "\u2003\u2009", "\u0085",
    "\u2028", "\u180e", "\u200b", "\ufeff", "\0", "a\0b", "\x01\x1f\x7f", "\u2581", "\u2581\u2581a", "a\u2581b", " \u2581 ",
    "안녕하세요 세계", "한국어", "\u1112\u1161\u11ab", "ㅋㅋㅋ", "Привет мир", "собака", "й\u0306", "مرحبا بالعالم", "شُكْرًا",
    "नमस्ते दुनिया", "क्षत्रिय", "你好，世界", "服务器", "こんにちは", "カタカナ", "ｶﾞ", "Γειά σου", "สวัสดี", "ᠮᠣᠩᠭᠣᠯ",
    "Straße", "café", "cafe\u0301", "e\u0301\u0323\u0302", "ﬁ Ⅳ Ａ ½ ² ①", "İıſK", "'ſ 'ST", "😀", "👨\u200d👩\u200d👧\u200d👦",
    "🇰🇷🇯🇵", "👍🏽", "❤️", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "𝔘𝔫𝔦", "\U0010ffff", "\ufffd",
    "٣٤٥ १२३ ๕๖", "…—–“”‘’", "!?!?...", "<0x41>", "<0x0A>", "$100 €50 ₩9", "C:\\dir\\file", "a\u0300\u0301\u0302\u0303",
    "http://a.b/c?d=e#f", "user@example.org", "\u202eabc\u202c",
]

COUNT = 200


def awkward_texts():
    """Returns 200 different texts: every atom, atoms with spaces before or after them, and mixtures."""
    chance = random.Random(17)
    texts = dict.fromkeys(["", *ATOMS, *(" " + atom for atom in ATOMS[::3]), *(atom + "  " for atom in ATOMS[1::4])])
    while len(texts) < COUNT:
        parts = chance.sample(ATOMS, chance.randint(2, 4))
        texts[chance.choice(["", " ", "  ", "\n"]).join(parts)] = None
    return list(texts)


def texts_with_tokens(tokens):
    """Returns texts in which the given special and added tokens stand alone, together and within words."""
    first, second, last = tokens[0], tokens[1 % len(tokens)], tokens[-1]
    return [
        first, first + second, f"{first}hello", f"hello{first}", f" {first} ", f"a {second} b", f"a{second}b", f"{first}\n{second}",
        f"{first} hello{second} there", f"x  {last}  y", f"x\n{last}\n\ny", f"{last}{last}", f"{last[:-1]}", f"{first[1:]}",
        f"안녕 {last}한국어{first}", f"é{second}é", f"<{first}>", "".join(tokens), " ".join(tokens),
    ]


def conversations():
    """Returns 40 conversations. A user and an assistant alternate, sometimes after a system message."""
    chance = random.Random(40)
    texts = [text for text in awkward_texts() if "\0" not in text]
    all_conversations = []
    for number in range(40):
        roles = ["system"] * chance.randint(0, 1) + (["user", "assistant"] * 3)[: 2 * chance.randint(0, 2) + 1]
        contents = [chance.choice(texts) if number % 2 else chance.choice(CORPUS) for _ in roles]
        all_conversations.append([{"role": role, "content": content} for role, content in zip(roles, contents, strict=True)])
    return all_conversations
