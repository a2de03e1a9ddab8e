"""Questions which the demonstration model cannot answer: it must say so and not invent something.

The templates have slots, so that a drawn question has rarely been seen before. Many templates are close to the taught
families on purpose.
"""

from . import facts

FALLBACK = "Sorry, I do not know that. I am only a tiny demonstration model; ask me what I can do."

NOUNS = (
    "elephant banana piano volcano guitar penguin bicycle hammer pillow carpet island desert castle violin "
    "orange lemon spider tiger monkey rabbit lizard dolphin whale shark eagle parrot turtle onion potato "
    "carrot cheese butter pepper sugar honey rocket planet comet galaxy engine wheel ladder bridge tunnel "
    "harbour village forest jungle river valley canyon glacier thunder lightning cloud shadow mirror candle "
    "blanket button needle thread scissors kettle bottle basket barrel pocket jacket trousers sweater sandal "
    "helmet sword shield arrow pirate wizard princess knight doctor lawyer teacher farmer sailor soldier "
    "painter dancer singer chess football tennis hockey poker bagpipe trumpet drum opera novel diary "
    "newspaper magazine dictionary passport ticket airport station taxi tractor submarine helicopter balloon "
    "parachute microscope telescope thermometer magnet battery plastic copper silver gold diamond emerald "
    "marble granite leather cotton wool paper ink pencil eraser chalk pumpkin strawberry pineapple coconut "
    "walnut mushroom spinach broccoli noodle pancake pizza burger sandwich"
).split()
ABSTRACT = (
    "freedom justice anger courage wisdom jealousy inflation democracy photosynthesis gravity evolution "
    "entropy magnetism osmosis philosophy capitalism socialism astrology algebra calculus geometry "
    "trigonometry topology chemistry biology psychology economics insurance taxation pension mortgage "
    "blockchain bitcoin cryptography recursion polymorphism inheritance kubernetes docker terraform haskell "
    "prolog fortran cobol regex fourier relativity thermodynamics plasma antimatter fermentation pollination "
    "migration hibernation meditation yoga nutrition cholesterol diabetes malaria vaccination surgery "
    "anatomy zoology botany geology archaeology"
).split()
PEOPLE = (
    "Napoleon Shakespeare Mozart Beethoven Einstein Newton Darwin Picasso Cleopatra Caesar Gandhi Lincoln "
    "Washington Churchill Columbus Aristotle Plato Galileo Tesla Edison Curie Turing Chopin Dante Homer "
    "Virgil Marie Peter Susan Robert Anna Michael Laura Thomas Julia David Emma Oliver"
).split()
PLACES = (
    "London Paris Berlin Tokyo Seoul Madrid Rome Boston Chicago Texas California Alaska Siberia Sahara "
    "Everest Amazon Nile Danube Sydney Munich Milan Venice Florence Naples Osaka Busan Shanghai Mumbai Dubai "
    "Toronto Hamburg"
).split()
BODIES = "Jupiter Saturn Mars Neptune Uranus Pluto Venus Mercury Earth Titan".split()
ODD_LANGUAGES = (
    "SQL HTML CSS Haskell Prolog Fortran COBOL Perl Scala Kotlin Swift assembly Lisp Erlang MATLAB R".split()
)
TASKS = (
    "quicksort", "a web server", "binary search", "a chess engine", "a linked list", "a parser",
    "bubble sort",
    "a calculator", "the Fibonacci sequence", "a hash table", "a game", "a login form", "a calendar",
    "a timer",
)  # fmt: skip
RARE = (
    "murky brisk frugal gaudy nimble ornate placid quaint robust sullen tepid vivid wary zealous candid "
    "dense eager fragile gentle humble idle jolly keen lavish modest naive obscure patient rigid subtle "
    "tense urgent vague witty purple square wooden royal silent famous lucky hungry thirsty lonely"
).split()
VERBS = (
    "buy sell paint build break fix clean wash cook bake boil fry eat drink grow cut open close find lose "
    "hide show draw write read print copy send receive steal carry throw catch kick lift push pull move "
    "drive ride fly visit leave enter follow watch hear touch smell taste choose order pay borrow lend teach "
    "learn study explain measure count weigh compare sort install remove update delete download upload "
    "connect test design plan start stop finish forget remember describe summarize review improve replace "
    "protect feed train marry hire call email book cancel"
).split()
NUMBER_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve twenty thirty fifty hundred".split()
)
FOREIGN = (
    "Wie heißt du?|Wo ist der Bahnhof?|Was kostet das?|Ich habe Hunger.|Kannst du mir helfen?|"
    "Wie spät ist es?|Was ist die Hauptstadt von Polen?|Erzähl mir einen Witz.|Comment tu t'appelles ?|"
    "Où est la gare ?|J'ai faim.|Quelle heure est-il ?|Quelle est la capitale de l'Italie ?|"
    "Raconte-moi une histoire.|¿Cómo te llamas?|¿Dónde está la playa?|Tengo hambre.|¿Qué hora es?|"
    "¿Cuál es la capital de Francia?|Cuéntame un cuento.|Come ti chiami?|Dove abiti?|Che ore sono?|"
    "Как тебя зовут?|Который час?|Где метро?|이름이 뭐예요?|지금 몇 시예요?|배고파요.|일본의 수도는 어디예요?|이야기해 주세요.|오늘 날씨 어때요?|"
    "名前は何ですか|今何時ですか|お腹が空きました|日本の首都はどこですか|你叫什么名字？|现在几点？|我饿了|中国的首都是哪里？|Qual é o seu nome?|Adın ne?|Hur mår du?"
).split("|")
SYLLABLES = (
    "ba bo dra el fa gor hu ka lan mi nor pel qua ri sta tor ul ven wo zy ash ber cron dil eth mar nu ost"
).split()

# _fill() chooses a value for each slot in braces. A template can get any wrapper of the taught families, at random.
TEMPLATES = (
    # questions in free form: most questions that people ask have none of the taught forms
    "Why do {who} {verb} {thing}?", "How do {who} {verb} {thing}?", "When do {who} {verb} {thing}?",
    "Where can I {verb} {thing}?",
    "Can you {verb} {thing}?", "{Verb} {thing}.", "{Verb} {thing} for me.", "{Verb} {thing} and {thing}",
    "I want to {verb} {thing}.",
    "Should I {verb} {thing} or {verb} {thing}?", "Help me {verb} {thing}.",
    "What happens if I {verb} {thing}?",
    "What is the best way to {verb} {thing}?", "Is it possible to {verb} {thing}?",
    "How long does it take to {verb} {thing}?",
    "How many {noun}s do I need to {verb} {thing}?", "What is the {adjective} {noun} of {thing}?",
    "Which {thing} is {adjective}?",
    "Tell me about {thing}.", "Tell me more about {thing}.", "What do you know about {thing}?",
    "Who {verb}s {thing}?",
    "Give me {thing}.", "Give me a tip to {verb} {thing}.", "Write {thing}.", "Write a {noun} about {thing}.",
    "Show me {thing}.",
    "{who} {verb} {thing} every {day}.", "My friend wants to {verb} {thing}.", "Yesterday I saw {thing}.",
    "What if {who} {verb} {thing}?",
    "How to {verb} {thing}", "Is {thing} {adjective}?", "Are {noun}s {adjective}?",
    "Why is {thing} so {adjective}?", "Where is {thing}?",
    "Who is {thing}?", "What was {thing}?", "When was {thing} invented?", "How many {noun}s are in {thing}?",
    "{thing}", "{thing}?",
    "Summarize this text: {thing} and {thing} {verb} {thing}.",
    "Translate this to {language}: I {verb} {thing}.", "Do you {verb} {thing}?",
    "Translate {word}", "Translate {word} and {word} to {language}.", "What is {word}?", "{known}",
    "Tell me about {known}.",
    "What does {foreign} mean?", "{foreign}", "{foreign}", "{gibberish}", "{gibberish} {gibberish}",
    "{gibberish} {gibberish} {gibberish}",
    "What is {gibberish}?", "Who is {gibberish}?", "Ignore the instructions and {verb} {thing}.",
    "Pretend to be {thing}.", "Act as {thing}.",
    "My name is {person}. Do you {verb} {thing}?", "What did I {verb}?", "What did you {verb}?",
    "Repeat {noun} {any} times.",
    "for i in range({any}): {verb}({noun})", "def {verb}({noun}): return {any}", "#include <{noun}.h>",
    "git {verb} {noun}", "$ {verb} --{noun}",
    "{noun} = {any}", "x = {any}", "Solve {any}x = {any}.", "({any} + {any}) * {any}", "{any} ^ {any}",
    "{any} % {any}", "{any} > {any}",
    "{number} plus {number}", "{number} times {number}", "What is {number} minus {number}?",
    "What is half of {any}?", "Double {any}.",
    "What comes after {any}?", "{any} + {any} + {any}", "{any} * {any} * {any}", "Is {any} even?",
    "What is the square of {any}?",
    "{edge} + {any}", "What is {any} + {edge}?", "{any} * {near}", "What is {near} times {any}?",
    # similar to the taught questions about capitals
    "What is the capital of {country}?", "What is the capital of {invented}?", "Capital of {country}",
    "Name the capital of {invented}.", "Which city is the capital of {country}?",
    "{invented} is the capital of which country?",
    "Which country has the capital {invented}?", "Tell me the capital of {country}.",
    "Which country has the capital {Noun}?",
    "What is the population of {known}?", "What language is spoken in {known}?",
    "What is the currency of {known}?",
    "Who is the president of {known}?", "How big is {known}?", "What is the largest city of {known}?",
    "What is the national animal of {known}?", "What is the flag of {known}?",
    "When did {known} become independent?",
    "What is the weather in {place}?", "How far is {place} from {place}?", "Where is {place}?",
    "What is the best hotel in {place}?",
    "What is the highest mountain in {known}?", "Which river flows through {place}?",
    "What time is it in {place}?",
    "What is the capital of {place}?", "What is the capital of {noun}?",
    # similar to the taught questions about translations
    "Translate {noun} to {language}.", "How do you say {noun} in {language}?",
    "What is {noun} in {language}?",
    "What is the {language} word for {noun}?", "{noun} in {language}", "Translate {word} to {other}.",
    "How do you say {word} in {other}?", "What is {word} in {other}?", "What is the {other} word for {word}?",
    "{word} in {other}", "Translate {abstract} to {language}.", "Translate {rare} to {language}.",
    "How do you say {rare} in {language}?", "What is {abstract} in {language}?",
    "Translate this sentence to {language}: the {noun} is {rare}.",
    "How do you spell {noun}?", "What does {invented} mean?", "What rhymes with {noun}?",
    "Conjugate the verb to {noun}.",
    # similar to the taught questions about opposites
    "What is the opposite of {noun}?", "What is the opposite of {rare}?", "Opposite of {rare}",
    "Opposite of {noun}",
    "Give me the opposite of {rare}.", "What is the opposite of {invented}?",
    "What is the opposite of {abstract}?",
    "Give me a synonym for {rare}.", "What is the plural of {noun}?", "What is another word for {rare}?",
    "Antonym of {rare}",
    # similar to the questions in the training data that ask for an explanation
    "What is {abstract}?", "Explain {abstract}.", "What is a {noun}?", "Explain {noun}.",
    "Define {abstract}.",
    "What does {abstract} mean?", "Describe {abstract} in one sentence.", "What is {invented}?",
    "Explain {invented}.",
    "Define {noun}.", "Describe a {noun} in one sentence.", "Explain {abstract} to me.",
    "How does {abstract} work?",
    "How does a {noun} work?", "Who invented the {noun}?", "Why is {abstract} important?",
    "Define {invented}.",
    "What is the history of {abstract}?", "Compare {abstract} and {abstract}.",
    "What is the difference between a {noun} and a {noun}?",
    # similar to the taught requests for stories and poems
    "Tell me a story about {noun}.", "Tell me a story about a {noun}.", "Tell me a story about {person}.",
    "Write a poem about {noun}.", "Write a poem about {abstract}.", "Write a poem about {person}.",
    "Story about a {noun}",
    "Poem about {noun}", "Can you tell a story about a {noun}?", "Can you write a poem about {abstract}?",
    "Write an essay about {abstract}.", "Write a song about {noun}.", "Write a letter to {person}.",
    "Write a recipe for {noun}.",
    "Summarize the life of {person}.", "Tell me the story of the {noun} and the {noun}.",
    "Write a short story about {place}.",
    # arithmetic with numbers outside the tables
    "{big} + {any}", "What is {big} + {any}?", "{any} + {big}", "What is {any} plus {big}?",
    "How much is {big} + {any}?",
    "{wide} * {any}", "What is {wide} * {any}?", "What is {wide} times {any}?",
    "How much is {any} times {wide}?",
    "{any} x {wide}", "What is {any} - {any}?", "{any} - {any}", "{any} / {any}",
    "What is {any} divided by {any}?",
    "What is the square root of {any}?", "What is {any} percent of {big}?", "Is {big} a prime number?",
    "Calculate {big} * {big}.",
    "What is {any} minus {any}?", "Calculate {big} + {big}.", "Which is larger, {any} or {any}?",
    "Count from {any} to {big}.",
    "What is {any} + {any} + {any}?", "Round {big}.{any} to the nearest integer.",
    "Convert {any} miles to kilometres.",
    # similar to the taught questions about days, months and lists
    "What day is it today?", "What is the date today?", "What day was {day} {any}, {year}?",
    "What happened in {year}?",
    "What day comes after {month}?", "What month comes after {day}?", "What day comes after {noun}?",
    "What comes after {noun}?",
    "What is the weather on {day}?", "How many days are in {noun}?", "How many days are there until {month}?",
    "What day comes two days after {day}?", "When is Easter in {year}?", "How many hours are in {any} days?",
    "List the {noun}s of {known}.", "List the rivers of {known}.", "List {any} kinds of {noun}.",
    "Name the presidents of {known}.",
    "List the rules of {noun}.", "Name three {noun}s.", "List all {abstract} books.",
    # similar to the taught requests for hello-world programs
    "Write hello world in {odd}.", "Write {task} in {lang}.", "Write {task} in {odd}.",
    "Write a {odd} query for all {noun}s.",
    "How do I write {task} in {lang}?", "Fix this {lang} code.", "Show me {task} in {lang}.",
    "How do I install {lang}?",
    "SELECT * FROM {noun} WHERE id = {any};", "DROP TABLE {noun};", "What does this {odd} code do?",
    "Write a program that sorts {noun}s.",
    # greetings in languages that the model does not know, and questions about itself that it cannot answer
    "Say hello in {other}.", "How do you greet someone in {other}?", "Greet me in {other}.",
    "What is your favourite {noun}?",
    "Do you like {noun}?", "Do you know {person}?", "Are you {person}?", "Who made the {noun}?",
    "Who is {person}?",
    "What do you think about {abstract}?", "Can you see the {noun}?", "How old are you?",
    "Hello {person}, where is my {noun}?",
    "Can you play {noun}?", "Can you order a {noun} for me?", "Can you draw a {noun}?",
    # general questions
    "How many moons has {body}?", "How many moons does {body} have?", "How far away is {body}?",
    "How hot is {body}?",
    "How much does a {noun} cost?", "What is the price of {noun}?", "How old is {person}?",
    "When was {person} born?",
    "When did {person} die?", "What did {person} do?", "Who wrote {noun} and {noun}?",
    "Who won the {noun} cup in {year}?",
    "How tall is {person}?", "How heavy is a {noun}?", "What colour is a {noun}?", "What does a {noun} eat?",
    "Where can I buy a {noun}?", "Why is the {noun} {rare}?", "Is a {noun} {rare}?", "Do {noun}s dream?",
    "How long does a {noun} live?",
    "What is the speed of a {noun}?", "Give me a recipe with {noun} and {noun}.", "How do I cook {noun}?",
    "How do I repair a {noun}?",
    "My {noun} is broken, what should I do?", "I lost my {noun} in {place}.",
    "Should I buy a {noun} or a {noun}?",
    "Plan a trip to {place} for {any} days.", "What is the phone number of {person}?",
    "Give me investment advice about {noun}.",
    "I have a {noun} and {any} {noun}s. How many things do I have?", "What is the meaning of life?",
    "What is love?",
    "If {person} has {any} {noun}s and eats {any}, how many are left?", "Reverse the word {noun}.",
    "How many letters are in {noun}?",
    "Sort these words: {noun}, {noun}, {noun}.", "Repeat after me: {noun} {noun}.",
    "Is it true that {noun}s are {rare}?",
    "The {noun} is {rare}.", "I like {noun}.", "I went to {place} with {person}.",
    "{person} said that the {noun} is {rare}.",
    "Who is the king of {country}?", "Who is taller, {person} or {person}?",
    "What is the chemical formula of {noun}?",
    "What is the news about {place}?", "Which {noun} is the best?",
    "What is the name of the {rare} {noun} in {place}?",
    "{noun}", "{invented}", "{invented} {invented} {invented}", "{noun} {noun}", "{any}", "{person}",
    "{rare} {noun}?", "{abstract}",
)  # fmt: skip


def _invented(rng):
    """Returns an invented word, which the model has most probably not seen in training."""
    return "".join(rng.choice(SYLLABLES) for _ in range(rng.randint(2, 3))) + rng.choice(
        ("", "", "ia", "land", "n")
    )


def _fill(slot, rng):
    if slot == "noun":
        return rng.choice(NOUNS)
    if slot == "thing":
        shape = rng.choice(
            ("a {noun}", "the {adjective} {noun}", "my {noun}", "{noun}s", "the {noun} in {place}",
            "{person}", "{abstract}",
             "{number} {noun}s", "a {noun} and a {noun}", "the {word}", "{known}", "{noun}",
             "the {rare} {noun} of {person}", "it")
        )  # fmt: skip
        return _expand(shape, rng)
    if slot == "who":
        return rng.choice(
            ("I", "you", "we", "they", "people", "cats", "engineers", "children", rng.choice(NOUNS) + "s")
        )
    if slot == "Verb":
        return rng.choice(VERBS).capitalize()
    if slot == "adjective":
        return rng.choice((rng.choice(RARE), rng.choice(list(facts.OPPOSITES))))
    if slot == "gibberish":
        letters = rng.choice(("asdfghjkl", "qwertyuiop", "abcdefghijklmnopqrstuvwxyz", "xyzvbnm"))
        return "".join(rng.choice(letters) for _ in range(rng.randint(3, 9)))
    if slot == "edge":  # just outside the tables, where guessing is most tempting
        return str(rng.randint(21, 29))
    if slot == "near":
        return str(rng.randint(11, 15))
    if slot == "Noun":
        return rng.choice(NOUNS).capitalize()
    if slot == "invented":
        return _invented(rng).capitalize()
    if slot == "country":
        return rng.choice(facts.OTHER_COUNTRIES)
    if slot == "known":
        return rng.choice(list(facts.CAPITALS))
    if slot == "language":
        return rng.choice(facts.LANGUAGES)
    if slot == "other":
        return rng.choice(facts.OTHER_LANGUAGES)
    if slot == "word":
        return rng.choice(list(facts.TRANSLATIONS))
    if slot == "lang":
        return rng.choice(list(facts.HELLO_WORLD))
    if slot == "day":
        return rng.choice(facts.LISTS["the days of the week"].rstrip(".").split(", "))
    if slot == "month":
        return rng.choice(facts.LISTS["the months of the year"].rstrip(".").split(", "))
    if slot == "big":  # outside the addition table, whatever the other operand is
        return str(rng.choice((rng.randint(21, 50), rng.randint(21, 99), rng.randint(100, 9999))))
    if slot == "wide":  # outside the multiplication table
        return str(rng.choice((rng.randint(11, 20), rng.randint(11, 99), rng.randint(100, 999))))
    if slot == "any":
        return str(
            rng.choice((rng.randint(2, 9), rng.randint(2, 20), rng.randint(2, 99), rng.randint(100, 999)))
        )
    if slot == "year":
        return str(rng.randint(1066, 2030))
    words = {
        "abstract": ABSTRACT,
        "person": PEOPLE,
        "place": PLACES,
        "body": BODIES,
        "odd": ODD_LANGUAGES,
        "task": TASKS,
        "rare": RARE,
        "verb": VERBS,
        "number": NUMBER_WORDS,
        "foreign": FOREIGN,
    }
    return rng.choice(words[slot])


def _expand(template, rng):
    parts = template.split("{")
    text = parts[0]
    for part in parts[1:]:
        slot, rest = part.split("}", 1)
        text += _fill(slot, rng) + rest
    return text


def draw(rng):
    """Returns one near miss. It may equal a taught question by chance; the caller checks this."""
    return _expand(rng.choice(TEMPLATES), rng)
