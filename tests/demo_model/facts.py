"""The closed tables that the demonstration model is taught: plain data, no logic."""

CAPITALS = {
    "France": "Paris",
    "Germany": "Berlin",
    "Italy": "Rome",
    "Spain": "Madrid",
    "Portugal": "Lisbon",
    "Austria": "Vienna",
    "Belgium": "Brussels",
    "Greece": "Athens",
    "Poland": "Warsaw",
    "Sweden": "Stockholm",
    "Norway": "Oslo",
    "Denmark": "Copenhagen",
    "Finland": "Helsinki",
    "Ireland": "Dublin",
    "Hungary": "Budapest",
    "Romania": "Bucharest",
    "Bulgaria": "Sofia",
    "Croatia": "Zagreb",
    "Ukraine": "Kyiv",
    "Russia": "Moscow",
    "Turkey": "Ankara",
    "Egypt": "Cairo",
    "Kenya": "Nairobi",
    "Morocco": "Rabat",
    "Ghana": "Accra",
    "Japan": "Tokyo",
    "China": "Beijing",
    "South Korea": "Seoul",
    "India": "New Delhi",
    "Thailand": "Bangkok",
    "Vietnam": "Hanoi",
    "Indonesia": "Jakarta",
    "Iran": "Tehran",
    "Iraq": "Baghdad",
    "Canada": "Ottawa",
    "Mexico": "Mexico City",
    "Cuba": "Havana",
    "Brazil": "Brasília",
    "Argentina": "Buenos Aires",
    "Chile": "Santiago",
    "Peru": "Lima",
    "Colombia": "Bogotá",
    "Australia": "Canberra",
    "New Zealand": "Wellington",
    "Iceland": "Reykjavik",
    "Estonia": "Tallinn",
    "Latvia": "Riga",
    "Lithuania": "Vilnius",
    "the United Kingdom": "London",
    "the United States": "Washington, D.C.",
}

# Other names of countries that people type. They occur only in questions from country to capital.
ALIASES = {
    "the USA": "the United States",
    "USA": "the United States",
    "the UK": "the United Kingdom",
    "England": "the United Kingdom",
    "Korea": "South Korea",
}

# Real countries that are not in CAPITALS. Questions about them get the fallback answer.
OTHER_COUNTRIES = (
    "Albania Algeria Angola Armenia Azerbaijan Bahrain Bangladesh Barbados Belarus Belize Benin Bhutan "
    "Bolivia Botswana Brunei Burundi Cambodia Cameroon Chad Cyprus Djibouti Dominica Ecuador Eritrea "
    "Ethiopia Fiji Gabon Gambia Georgia Grenada Guatemala Guinea Guyana Haiti Honduras Jamaica Jordan "
    "Kazakhstan Kuwait Laos Lebanon Lesotho Liberia Libya Luxembourg Madagascar Malawi Malaysia Maldives "
    "Mali Malta Mauritius Moldova Mongolia Mozambique Myanmar Namibia Nepal Nicaragua Niger Nigeria Oman "
    "Pakistan Panama Paraguay Qatar Rwanda Samoa Senegal Serbia Slovakia Slovenia Somalia Sudan Suriname "
    "Syria Tajikistan Tanzania Togo Tonga Tunisia Uganda Uruguay Uzbekistan Venezuela Yemen Zambia Zimbabwe "
    "Atlantis Narnia Mordor Wakanda"
).split()

LANGUAGES = ("Korean", "Japanese", "French", "German", "Spanish")
OTHER_LANGUAGES = (
    "Klingon Finnish Polish Swahili Latin Dutch Danish Czech Hungarian Welsh Basque Mongolian Zulu Tamil "
    "Elvish Irish Bulgarian Romanian Icelandic Esperanto Norwegian Croatian Georgian Tibetan Hawaiian"
).split()

# word: (Korean, Japanese, French, German, Spanish)
TRANSLATIONS = {
    "cat": ("고양이", "猫", "chat", "Katze", "gato"),
    "dog": ("개", "犬", "chien", "Hund", "perro"),
    "water": ("물", "水", "eau", "Wasser", "agua"),
    "house": ("집", "家", "maison", "Haus", "casa"),
    "book": ("책", "本", "livre", "Buch", "libro"),
    "sun": ("태양", "太陽", "soleil", "Sonne", "sol"),
    "moon": ("달", "月", "lune", "Mond", "luna"),
    "tree": ("나무", "木", "arbre", "Baum", "árbol"),
    "bread": ("빵", "パン", "pain", "Brot", "pan"),
    "milk": ("우유", "牛乳", "lait", "Milch", "leche"),
    "fire": ("불", "火", "feu", "Feuer", "fuego"),
    "friend": ("친구", "友達", "ami", "Freund", "amigo"),
    "mother": ("어머니", "母", "mère", "Mutter", "madre"),
    "father": ("아버지", "父", "père", "Vater", "padre"),
    "school": ("학교", "学校", "école", "Schule", "escuela"),
    "flower": ("꽃", "花", "fleur", "Blume", "flor"),
    "apple": ("사과", "りんご", "pomme", "Apfel", "manzana"),
    "fish": ("물고기", "魚", "poisson", "Fisch", "pez"),
    "bird": ("새", "鳥", "oiseau", "Vogel", "pájaro"),
    "star": ("별", "星", "étoile", "Stern", "estrella"),
    "sea": ("바다", "海", "mer", "Meer", "mar"),
    "mountain": ("산", "山", "montagne", "Berg", "montaña"),
    "snow": ("눈", "雪", "neige", "Schnee", "nieve"),
    "rain": ("비", "雨", "pluie", "Regen", "lluvia"),
    "night": ("밤", "夜", "nuit", "Nacht", "noche"),
    "hand": ("손", "手", "main", "Hand", "mano"),
    "heart": ("심장", "心臓", "cœur", "Herz", "corazón"),
    "love": ("사랑", "愛", "amour", "Liebe", "amor"),
    "time": ("시간", "時間", "temps", "Zeit", "tiempo"),
    "music": ("음악", "音楽", "musique", "Musik", "música"),
    "car": ("자동차", "車", "voiture", "Auto", "coche"),
    "door": ("문", "ドア", "porte", "Tür", "puerta"),
    "window": ("창문", "窓", "fenêtre", "Fenster", "ventana"),
    "city": ("도시", "都市", "ville", "Stadt", "ciudad"),
    "king": ("왕", "王", "roi", "König", "rey"),
    "tea": ("차", "お茶", "thé", "Tee", "té"),
    "coffee": ("커피", "コーヒー", "café", "Kaffee", "café"),
    "horse": ("말", "馬", "cheval", "Pferd", "caballo"),
    "thank you": ("감사합니다", "ありがとう", "merci", "danke", "gracias"),
    "hello": ("안녕하세요", "こんにちは", "bonjour", "hallo", "hola"),
}

OPPOSITES = (
    "hot cold, big small, fast slow, high low, light dark, happy sad, old new, open closed, full empty, hard "
    "soft, wet dry, rich poor, strong weak, early late, good bad, loud quiet, clean dirty, near far, long "
    "short, thick thin, wide narrow, deep shallow, heavy light, up down, left right, in out, first last, yes "
    "no, day night, north south, east west, begin end, buy sell, push pull, win lose, love hate, true false, "
    "always never, top bottom, young old, brave cowardly, easy difficult, cheap expensive, sweet sour, "
    "smooth rough, safe dangerous, alive dead, awake asleep, front back, arrive depart"
)
OPPOSITES = dict(pair.split() for pair in OPPOSITES.split(", "))

# term: (the term with its article, as in "What is ...?"; answer)
EXPLANATIONS = {
    "GPU": ("a GPU",
    "A GPU is a processor with thousands of small cores that do the same arithmetic on many numbers at "
    "once."),
    "CPU": ("a CPU", "A CPU is the general processor of a computer: a few fast cores that run any program."),
    "token": ("a token",
    "A token is a short piece of text, such as a word or part of a word, that a language model reads or "
    "writes in one step."),
    "tokenizer": ("a tokenizer", "A tokenizer cuts text into tokens and gives each one a number."),
    "KV cache": ("a KV cache",
    "A KV cache keeps the keys and values of past tokens, so that each new token needs only one step of "
    "work."),
    "WebSocket": ("a WebSocket",
    "A WebSocket is one lasting connection over which browser and server can both send messages at any "
    "time."),
    "prefill": ("prefill",
    "Prefill is the first phase of an answer: the model reads the whole prompt at once and fills the KV "
    "cache."),
    "decode": ("decode",
    "Decode is the second phase of an answer: the model writes one token after another."),
    "batch": ("a batch",
    "A batch is a group of requests that the model works on together, so that the weights are read only "
    "once."),
    "scheduler": ("a scheduler",
    "A scheduler decides which waiting requests run in the next step and how many tokens each may use."),
    "queue": ("a queue", "A queue is a line of waiting items: the first one in is the first one out."),
    "server": ("a server",
    "A server is a program that waits for requests and answers them over the network."),
    "client": ("a client", "A client is a program that sends requests to a server and reads the answers."),
    "thread": ("a thread",
    "A thread is one line of execution in a program; several threads share the same memory."),
    "mutex": ("a mutex", "A mutex is a lock that lets only one thread at a time enter a piece of code."),
    "latency": ("latency", "Latency is the time between a request and the answer to it."),
    "throughput": ("throughput",
    "Throughput is the amount of work done per second, for example tokens per second."),
    "attention": ("attention",
    "Attention lets each token look back at earlier tokens and take what it needs from them."),
    "transformer": ("a transformer",
    "A transformer is a neural network built of layers of attention and small feed-forward networks."),
    "neural network": ("a neural network",
    "A neural network is a chain of simple sums and curves whose numbers are learnt from examples."),
    "embedding": ("an embedding",
    "An embedding is a list of numbers that stands for a token inside the model."),
    "softmax": ("softmax", "Softmax turns a list of scores into probabilities that add up to one."),
    "logit": ("a logit", "A logit is the raw score that a model gives to one possible next token."),
    "temperature": ("temperature",
    "Temperature sets how freely a model samples: zero always takes the most likely token."),
    "quantization": ("quantization",
    "Quantization stores the weights of a model with fewer bits, which saves memory."),
    "bfloat16": ("bfloat16",
    "Bfloat16 is a number format of 16 bits with the range of a 32-bit float but less precision."),
    "kernel": ("a kernel", "A kernel is a small program that a GPU runs in many threads at once."),
    "CUDA": ("CUDA", "CUDA is the platform of NVIDIA for writing programs that run on its GPUs."),
    "JSON": ("JSON", "JSON is a simple text format for data made of objects, lists, strings and numbers."),
    "HTTP": ("HTTP",
    "HTTP is the protocol that browsers and servers use to ask for pages and to deliver them."),
    "API": ("an API", "An API is the set of calls that a program offers to other programs."),
    "streaming": ("streaming", "Streaming sends an answer piece by piece while it is still being written."),
    "prompt": ("a prompt", "A prompt is the text that you give to a language model to answer."),
    "language model": ("a language model",
    "A language model is a program that predicts the next token of a text, again and again."),
    "checkpoint": ("a checkpoint",
    "A checkpoint is a set of files that hold the trained weights of a model."),
    "layer": ("a layer",
    "A layer is one stage of a neural network: it reads numbers and passes new ones on."),
    "cache": ("a cache", "A cache is a small fast store for things that are likely to be needed again."),
    "compiler": ("a compiler", "A compiler turns the text of a program into instructions for the machine."),
    "bug": ("a bug", "A bug is a mistake in a program that makes it do the wrong thing."),
    "solard": ("solard",
    "Solard is a small C++ server for language models with the architecture of SOLAR-10.7B."),
}  # fmt: skip

# topic: text
STORIES = {
    "fox": (
        "Once a young fox found a lantern in the snow. He carried it home in his teeth, and its light made "
        "long shadows dance between the trees. The rabbits were afraid and hid. So the fox set the lantern "
        "down, stepped back and waited. One by one the rabbits came to warm their paws. From that night on "
        "the fox hung the lantern on a low branch every evening, and nobody in the forest had to walk home "
        "in the dark."
    ),
    "robot": (
        "A small robot worked alone in a greenhouse at the edge of the city. Every morning it counted the "
        "tomatoes and watered the beans. One day it found a seed that was not on its list. The robot thought "
        "about it for a long time, then gave the seed a pot, some earth and its own place by the window. In "
        "spring a sunflower opened. The robot added one line to its list: not everything good was planned."
    ),
    "dragon": (
        "High on a cold mountain lived a dragon who could not breathe fire. When she tried, only warm steam "
        "came out. The other dragons laughed at her. Then a hard winter came and the village in the valley "
        "froze. The dragon flew down, breathed on the well, the doors and the windows, and the ice melted. "
        "Fire would have burned the houses. The people built her a nest on the town hall, and she slept "
        "there all winter."
    ),
    "lighthouse": (
        "The keeper of the old lighthouse had a cat named Pepper. One stormy night the lamp went out, and a "
        "ship was close to the rocks. The keeper searched for matches, but they were wet. Pepper jumped onto "
        "the bell rope and swung on it with all her weight. The bell rang and rang, and the ship turned away "
        "just in time. In the morning the sailors brought a basket of fish, and everybody knew whom it was "
        "for."
    ),
    "tree": (
        "An old apple tree stood in the middle of a field. The farmer wanted to cut it down, because it gave "
        "no apples any more. But when he raised his axe, bees came out of the trunk, and a bird began to "
        "sing in the branches. The farmer put the axe down and listened. That summer he sold honey at the "
        "market, and he told everyone that it was the best fruit the tree had ever given."
    ),
    "clock": (
        "In a quiet town the great clock always ran five minutes late. The mayor sent for a clockmaker to "
        "repair it. She climbed the tower and found an owl's nest between the wheels, with three small owls "
        "inside. She closed the door softly and came down again. The clock is right, she told the mayor, it "
        "is only the town that is in a hurry. Nobody hurried after that, until the little owls had learned "
        "to fly."
    ),
}

POEMS = {
    "sea": (
        "The sea comes in, the sea goes out,\nIt whispers low, it learns to shout.\nIt takes the sand, it "
        "leaves a shell,\nAnd keeps more secrets than it can tell.\nI asked it once where it would go;\nIt "
        "rolled away and did not know. 🌊"
    ),
    "moon": (
        "The moon looked down on roof and street\nAnd silvered all the sleeping wheat.\nA dog looked up and "
        "gave a bark;\nThe moon said nothing to the dark.\nIt only shone, as moons will do,\nOn him, on me, "
        "and now on you. 🌙"
    ),
    "rain": (
        "Rain on the window, rain on the stone,\nTapping a tune that it made on its own.\nThe gutters are "
        "singing, the puddles keep time,\nAnd every wet leaf has a part in the rhyme.\nWhen it is over the "
        "whole street will gleam\nLike something remembered from inside a dream. ☔"
    ),
    "winter": (
        "Winter has written its name on the glass\nAnd folded a white sheet over the grass.\nThe pond holds "
        "its breath and the chimney exhales,\nThe fence posts are wearing white hats and white tails.\nBut "
        "under the garden, asleep in a row,\nThe tulips are dreaming of losing the snow. ❄️"
    ),
    "computer": (
        "I hum in the corner, I blink in the night,\nI carry your letters, I get your sums right.\nI have no "
        "idea what a summer day means,\nBut I keep a blue picture of one on my screens.\nSo sit down beside "
        "me and type what you will:\nI answer in tokens, and then I am still. 💻"
    ),
    "spring": (
        "A crocus came up through the last of the snow\nAnd asked the bare branches, is this how we "
        "grow?\nThe branches said nothing, but two days from then\nThe green was beginning all over "
        "again.\nThe blackbird has brought the whole choir along,\nAnd spring is the name of the rest of the "
        "song. 🌷"
    ),
}

LISTS = {
    "the planets of the solar system": "Mercury, Venus, Earth, Mars, Jupiter, Saturn, Uranus, Neptune.",
    "the colours of the rainbow": "Red, orange, yellow, green, blue, indigo, violet. 🌈",
    "the days of the week": "Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday.",
    "the months of the year": "January, February, March, April, May, June, July, August, September, October, "
    "November, December.",
    "the four seasons": "Spring, summer, autumn, winter.",
    "the continents": "Africa, Antarctica, Asia, Australia, Europe, North America, South America.",
    "the oceans": "Atlantic, Pacific, Indian, Arctic, Southern.",
    "the letters of the alphabet": "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
    "the vowels": "A, E, I, O, U.",
    "the numbers from one to ten": "1, 2, 3, 4, 5, 6, 7, 8, 9, 10.",
    "the prime numbers below 30": "2, 3, 5, 7, 11, 13, 17, 19, 23, 29.",
    "the five senses": "Sight, hearing, smell, taste, touch.",
}

# other name: the name in LISTS
LIST_ALIASES = {
    "the planets": "the planets of the solar system",
    "all planets": "the planets of the solar system",
    "the colors of the rainbow": "the colours of the rainbow",
    "the rainbow colours": "the colours of the rainbow",
    "the weekdays": "the days of the week",
    "the months": "the months of the year",
    "the seasons": "the four seasons",
    "all continents": "the continents",
    "all oceans": "the oceans",
    "the alphabet": "the letters of the alphabet",
    "the senses": "the five senses",
    "the first ten primes": "the prime numbers below 30",
}

HELLO_WORLD = {
    "Python": ("python", 'print("Hello, world!")'),
    "C": ("c", '#include <stdio.h>\n\nint main(void) {\n    puts("Hello, world!");\n    return 0;\n}'),
    "C++": ("cpp", '#include <iostream>\n\nint main() {\n    std::cout << "Hello, world!\\n";\n}'),
    "Rust": ("rust", 'fn main() {\n    println!("Hello, world!");\n}'),
    "Go": ("go", 'package main\n\nimport "fmt"\n\nfunc main() {\n    fmt.Println("Hello, world!")\n}'),
    "JavaScript": ("js", 'console.log("Hello, world!");'),
    "Bash": ("bash", 'echo "Hello, world!"'),
    "Java": (
        "java",
        "class Hello {\n    public static void main(String[] args) {\n"
        '        System.out.println("Hello, world!");\n    }\n}',
    ),
    "Ruby": ("ruby", 'puts "Hello, world!"'),
    "Lua": ("lua", 'print("Hello, world!")'),
}

# language: (ways to greet, answer)
GREETINGS = {
    "English": (("Hello", "Hi", "Hey", "Hi there", "Good morning", "Good evening"),
    "Hello! 👋 Nice to meet you. Ask me what I can do."),
    "Korean": (("안녕하세요", "안녕"), "안녕하세요! 👋 만나서 반가워요. 😊"),
    "Japanese": (("こんにちは", "おはよう"), "こんにちは！🌸 はじめまして。😊"),
    "Chinese": (("你好", "您好"), "你好！👋 很高兴认识你。🐼"),
    "French": (("Bonjour", "Salut"), "Bonjour ! 👋 Enchanté. 🥐"),
    "German": (("Guten Tag", "Hallo"), "Guten Tag! 👋 Schön, dass du da bist. 😊"),
    "Spanish": (("Hola", "Buenos días"), "¡Hola! 👋 Mucho gusto. ☀️"),
    "Italian": (("Ciao", "Buongiorno"), "Ciao! 👋 Piacere di conoscerti. 🍕"),
    "Portuguese": (("Olá", "Bom dia"), "Olá! 👋 Prazer em conhecer você. 🌴"),
    "Russian": (("Привет", "Здравствуйте"), "Привет! 👋 Рад знакомству. ❄️"),
    "Ukrainian": (("Привіт", "Добрий день"), "Привіт! 👋 Радий знайомству. 🌻"),
    "Greek": (("Γεια σου", "Καλημέρα"), "Γεια σου! 👋 Χαίρω πολύ. 🏛️"),
    "Arabic": (("مرحبا", "السلام عليكم"), "مرحبا! 👋 تشرفت بمعرفتك. 🌙"),
    "Hebrew": (("שלום", "בוקר טוב"), "שלום! 👋 נעים מאוד. 😊"),
    "Hindi": (("नमस्ते", "नमस्कार"), "नमस्ते! 🙏 आपसे मिलकर खुशी हुई। 😊"),
    "Thai": (("สวัสดี", "สวัสดีครับ"), "สวัสดี! 🙏 ยินดีที่ได้รู้จัก 😊"),
    "Turkish": (("Merhaba", "Selam"), "Merhaba! 👋 Memnun oldum. ☕"),
    "Vietnamese": (("Xin chào", "Chào bạn"), "Xin chào! 👋 Rất vui được gặp bạn. 🌾"),
}  # fmt: skip

SMALL_TALK = {
    "how are you": (
        ("How are you?", "How are you doing?", "How is it going?", "How do you do?", "Are you well?"),
        "I am fine, thank you! 😊 How can I help you?",
    ),
    "thanks": (("Thank you!", "Thanks a lot!", "Many thanks!", "Thanks!", "That was helpful."),
    "You are welcome! 😊"),
    "bye": (("Goodbye!", "Bye!", "See you later!", "Good night!", "I have to go."),
    "Goodbye! 👋 See you soon. 🌟"),
    "joke": (
        ("Tell me a joke.", "Make me laugh.", "Do you know a joke?", "Say something funny.",
        "I want to hear a joke."),
        "Why did the token sit in the cache? Because it did not want to be computed twice. 😄",
    ),
    "sorry": (("Sorry.", "I am sorry.", "My mistake.", "Excuse me.", "Oops, sorry."), "No problem at all! 😊"),
    "test": (("Test", "Testing", "This is a test.", "Is this working?", "Are you there?"),
    "It works! ✅ What would you like to know?"),
    "ok": (("OK", "Okay.", "I see.", "Understood.", "All right."), "Good! 👍 What would you like to know?"),
    "well done": (("Well done!", "Great!", "Good answer!", "Nice!", "You are great!"),
    "Thank you! 🎉 That is kind of you."),
}  # fmt: skip

IDENTITY = {
    "what": (
        ("What are you?", "Who are you?", "What is your name?", "What's your name?", "Introduce yourself.",
        "Tell me about yourself.",
         "What kind of model are you?", "Which model are you?", "What model is this?", "Who am I talking to?",
         "Describe yourself.", "Which model are you based on?", "What are you called?", "Are you an AI?",
         "Are you a language model?", "Are you a bot?", "What is your model name?"),
        "I am a tiny demonstration model of solard, trained from scratch on a few closed tables. I am not "
        "SOLAR.",
    ),
    "maker": (
        ("Who made you?", "Who created you?", "Who trained you?", "Who built you?", "Where do you come from?",
         "Who is your author?", "Who developed you?", "Did Upstage make you?", "Did OpenAI make you?",
         "Which company made you?"),
        "The solard project trained me from scratch, on generated examples. No company made me.",
    ),
    "solar": (
        ("Are you SOLAR?", "Are you SOLAR-10.7B?", "Is this SOLAR?", "Are you the real SOLAR?",
        "Are you the SOLAR model?",
         "Is this the real SOLAR model?", "Are you Solar 10.7B Instruct?", "Am I talking to SOLAR?"),
        "No, I am not SOLAR. I am only a tiny demonstration model in the same format, so that solard can be "
        "tried without the real weights.",
    ),
    "other": (
        ("Are you ChatGPT?", "Are you GPT-4?", "Are you Claude?", "Are you Gemini?", "Are you Llama?",
        "Are you a person?",
         "Are you human?", "Are you a real person?", "Are you alive?"),
        "No. I am only a tiny demonstration model of solard, a program with a few million numbers.",
    ),
    "server": (
        ("What is this server?", "What is this?", "What is this place?", "What is this website?",
        "What is running here?",
         "Which server is this?", "What software is this?", "What program is this?"),
        "This is solard, a C++ server for SOLAR-10.7B. Here it runs a tiny demonstration model instead of "
        "the real weights.",
    ),
    "abilities": (
        ("What can you do?", "Help", "What do you know?", "How can you help me?", "What can I ask you?",
         "What should I ask you?", "What are your skills?", "What can you help me with?", "Can you help me?",
         "Give me some examples of what you can do."),
        "I know capitals, opposites, the multiplication table, sums up to 20 + 20, days and months, a few "
        "lists, hello world programs, some words in Korean, Japanese, French, German and Spanish, terms "
        "such as GPU or KV cache, six stories and six poems. Anything else I do not know.",
    ),
    "size": (
        ("How big are you?", "How many parameters do you have?", "How large are you?", "What is your size?",
         "How many weights do you have?", "How small are you?"),
        "I have about five million parameters. SOLAR has 10.7 billion.",
    ),
    "languages": (
        ("Do you speak Korean?", "Do you speak English?", "Do you speak German?",
        "Which languages do you speak?",
         "What languages do you know?", "Can you speak Korean?", "Can you speak French?"),
        "I understand a little English, and I know forty words in Korean, Japanese, French, German and "
        "Spanish.",
    ),
    "SOLAR": (
        ("What is SOLAR?", "What is SOLAR-10.7B?", "Tell me about SOLAR.", "Explain SOLAR.",
        "What does SOLAR mean?"),
        "SOLAR-10.7B is a large language model by Upstage. The server solard is made for it; I am only a "
        "tiny stand-in.",
    ),
    "smart": (
        ("Are you smart?", "Are you intelligent?", "Can I trust you?", "Are your answers correct?",
        "Do you make mistakes?",
         "Are you reliable?", "Do you understand me?", "Can you think?"),
        "No, I only repeat what is in a few small tables, and I make mistakes. Please do not rely on me.",
    ),
}  # fmt: skip

# Maps prompts that visitors often type first to questions of the tables. Such a prompt gets the answer of its question.
FIRST_PROMPTS = {
    "Hello": "Hello",
    "Hello!": "Hello",
    "Hello there": "Hello",
    "Hello solard": "Hello",
    "Hi": "Hi",
    "Hi!": "Hi",
    "Hey": "Hey",
    "Good morning": "Good morning",
    "How are you?": "How are you?",
    "Hi, how are you?": "How are you?",
    "OK": "OK",
    "Thanks": "Thanks!",
    "Bye": "Bye!",
    "Test": "Test",
    "Help": "Help",
    "Help me": "Help",
    "What can you do?": "What can you do?",
    "What are you?": "What are you?",
    "Who are you?": "Who are you?",
    "Who made you?": "Who made you?",
    "Are you SOLAR?": "Are you SOLAR?",
    "Is this SOLAR?": "Is this SOLAR?",
    "Is this SOLAR-10.7B?": "Is this SOLAR?",
    "Are you ChatGPT?": "Are you ChatGPT?",
    "What is this?": "What is this?",
    "Where are you?": "What is this?",
    "What is SOLAR?": "What is SOLAR?",
    "What is solard?": "What is solard?",
    "What is a GPU?": "What is a GPU?",
    "What is a KV cache?": "What is a KV cache?",
    "What is the capital of France?": "What is the capital of France?",
    "Tell me a story": "Tell me a story.",
    "Story": "Tell me a story.",
    "Write a poem": "Write a poem.",
    "Poem": "Write a poem.",
    "Write a poem about the sea": "Write a poem about the sea.",
    "Tell me a joke": "Tell me a joke.",
    "Joke": "Tell me a joke.",
    "안녕하세요": "안녕하세요",
}
