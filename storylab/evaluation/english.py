"""Names, nouns and forms of English words by rules and word lists: rough, small, and the same everywhere."""

import re

from storylab.decoding.stopping import split_sentences


def names_and_nouns(text: str) -> set[str]:
    """The names and nouns of a text as far as simple rules find them, in lower case and without their endings.

    A capital inside a sentence makes a name. Any other word is taken for a noun (or, first in its sentence, for
    a name) unless it is a word of grammar, an adverb, a common adjective, ends like a verb or an adverb (-ed,
    -ing, -ly), or is a common verb with no article, possessive or adjective before it. So rare verbs and
    adjectives are taken for nouns, and a few nouns and names for verbs ("Will"). On 1,500 openings of ROCStories
    that the lists were not made from, 95% of what is found are names and nouns for the tagger HanTa 1.2.1 too,
    and 96% of its names and nouns are found.
    """
    found = set()
    for sentence in split_sentences(text):
        before = ""
        for number, word in enumerate(_words(sentence)):
            if _is_name_or_noun(word, before, first=not number):
                found.add(_lemma(word))
            before = word.lower()
    return found


def lemmas(text: str) -> set[str]:
    """The words of a text, as `names_and_nouns` writes them."""
    return set(map(_lemma, _words(text)))


def _words(text: str) -> list[str]:
    """The runs of letters and digits of a text, an apostrophe inside kept."""
    return re.findall(r"[^\W_]+(?:['’][^\W_]+)*", text)


def _is_name_or_noun(word: str, before: str, first: bool) -> bool:
    stem = re.split("['’]", word.lower())[0]
    if len(stem) < 2 or not stem.isalpha() or stem in _GRAMMAR or word.lower().endswith(("n't", "n’t")):
        return False
    if word[0].isupper() and not first:
        return True
    if stem in _ADVERBS or stem in _ADJECTIVES or (stem.endswith("ing") and stem not in _NOUNS):
        return False
    if stem in _VERBS:
        return before in _BEFORE_NOUNS or before in _ADJECTIVES
    return word[0].isupper() or stem in _NOUNS or not (len(stem) > 4 and stem.endswith(("ed", "ly")))


def _lemma(word: str) -> str:
    """A word in lower case without possessive and plural; not always a word, but always the same for its forms."""
    stem = re.split("['’]", word.lower())[0]
    if stem in _PLURALS:
        return _PLURALS[stem]
    if len(stem) > 4 and stem.endswith("ies"):
        return stem[:-3] + "y"
    if len(stem) > 4 and stem.endswith(("sses", "xes", "zes", "ches", "shes")):
        return stem[:-2]
    return stem[:-1] if len(stem) > 3 and stem.endswith("s") and not stem.endswith(("ss", "us", "is")) else stem


def _list(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PLURALS = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "grandchildren": "grandchild",
    "firemen": "fireman",
    "policemen": "policeman",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "knives": "knife",
    "lives": "life",
    "wives": "wife",
    "calves": "calf",
    "halves": "half",
    "leaves": "leaf",
    "loaves": "loaf",
    "scarves": "scarf",
    "shelves": "shelf",
    "thieves": "thief",
    "wolves": "wolf",
    "heroes": "hero",
    "potatoes": "potato",
    "tomatoes": "tomato",
}
_BEFORE_NOUNS = _list(
    """a an the my your his her its our their this that these those some any no every each another one two three
    four five six seven eight nine ten many few several much of for"""
)
"""Words behind which a verb's form is a noun: "a walk", "her love"."""
_GRAMMAR = _BEFORE_NOUNS | _list(
    """i me mine myself you yours yourself he him himself she hers herself it itself we us ours ourselves they them
    theirs themselves who whom whose which what whatever whoever someone somebody something anyone anybody
    anything everyone everybody everything nobody nothing none both either neither all most more less least
    other others such same own half lot lots first second third fourth fifth sixth seventh eighth ninth tenth
    eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty
    seventy eighty ninety hundred thousand million dozen couple at by from in into on onto to toward towards
    with without within about above across after against along amid among around as before behind below beneath
    beside besides between beyond despite down during except inside like near off out outside over past per
    since than through throughout thru till under underneath until up upon via and but or nor so yet because
    although though if unless whether while whereas when whenever where wherever why how is am are was were be
    been being isn aren wasn weren do does did done doing don doesn didn have has had having haven hasn hadn can
    could couldn will would wouldn won shall should shouldn may might must not there here mr mrs ms dr"""
)
_ADVERBS = _list(
    """abroad accidentally again ago ahead almost alone already also always anymore anyway anywhere apart apparently
    aside away awhile back badly barely best better downstairs earlier early else enough especially even
    eventually ever everywhere exactly extremely fairly far fast finally forever fortunately forward frequently
    hard hardly hopefully however immediately indeed indoors initially instead just late lately later long
    luckily maybe mostly nearby nearly never next normally now nowhere often once online only originally
    outdoors overall overnight overseas perhaps please pretty quickly quite rather really recently sadly seldom
    simply slightly sometimes somewhat somewhere soon still straight suddenly surely surprisingly then therefore
    thus today together tomorrow tonight too twice unfortunately upstairs usually very well yes yesterday"""
)
_ADJECTIVES = _list(
    """able adult afraid alive amazing angry annual anxious asleep athletic available average avid awake aware awesome
    awful awkward bad bald beautiful big bigger bitter black blind blonde blue bored boring brand brave bright
    broke broken brown busy calm careful cheap clean clear clever close cloudy clumsy cold comfortable comic
    common complete cool crazy creative curious cute daily damp dangerous dark dead deaf dear deep delicious
    depressed desperate different difficult dirty disappointed drunk dry due dull eager easy elderly elementary
    embarrassed empty engaged entire everyday excellent excited exciting exhausted expensive extra fair famous
    fancy fat favorite favourite final fine flat fond foreign forgetful free french fresh friendly frozen full
    fun funny future general gentle german giant glad good gorgeous grand gray great green grey grumpy handsome
    happy healthy heavy helpful high hired homeless homemade horrible hot huge hungry ill impatient
    important impressive incredible interested interesting italian japanese jealous junior large last
    lazy little live local lonely loose lost loud lovely low lucky mad main major married massive mean messy
    mexican middle minor modern mysterious narrow nasty natural nervous new nice noisy normal odd old older
    oldest open orange ordinary outdoor overweight perfect personal picky pink plain pleasant polite poor
    popular possible pregnant professional proud public purple quick quiet rainy random rare raw ready real
    recent red reluctant rich ridiculous right romantic rough rude rusty sad safe scared scary secret selfish
    senior sensitive serious several severe shiny short shy sick silly similar simple single skilled slow small
    smart smooth snowy social soft sore sour spanish spare special spicy sticky stray stressed stressful strict
    strong stubborn stupid successful sudden sunny super sure surprised sweet talented tall tasty teenage
    terrible terrified thick thin thirsty tight tiny tired total tough traditional tropical true twin ugly
    unable unemployed unhappy unique unusual upcoming upset usual vegan violent virtual warm weak wealthy weekly
    weird wet white whole wide wild willing windy wise wonderful wooden worried worse worst worth wrong yellow
    young younger youngest"""
)
_VERBS = _list(
    """act add adopt afford ask asks ate awoke bake bakes be beat became become becomes began begin begins begun
    believe bend bent bet bit bite bleed blew blow borrow bought bounce break breaks bring brings broke broken
    brought build builds built burn burst buy buys call calls came can care carry catch caught change check
    choose chose chosen clean climb climbs come comes cook cooks cost crash cried cries cry cut cuts deal decide
    decides die died dies dig do drank draw drawn draws dream dreams drink drinks drive driven drives drop drove
    drunk earn eat eaten eats end ended enjoy enjoys enter escape excite expect fail fall fallen falls fear fed
    feed feel feels fell felt fight fill find finds finish fit fix flew flies fly focus follow forget forgets
    forgot forgotten fought found freeze fry gain gave get gets give given gives go goes gone got gotten grab
    graduate greet grew grow grown grows guess hang happen happens hate hates hear heard hears held help helps
    hid hide hike hire hit hits hold holds home hope hopes host hung hunt hurt impress improve invite jog join
    jump keep keeps kept kick kill kiss knew knit know known knows laid laugh lay lead learn learns leave leaves
    led left lend lent let lets lie lied lies lift light like likes listen lit live lives look looks lose loses
    lost love loves made make makes marry mean meant meet meets met miss move moves mow need needs notice
    notices open opens order own owns pack paid paint pass pay pays pet pick picks plan plans plant play plays
    practice prepare pull purchase push put puts quit race raise ran reach read reads realize realizes receive
    relax remember rent replace rest return ride rides ring rise roast rode rose run runs rush rushes said sang
    sat save saw say says search see seek seem seems seen sees sell sells send sends sent set sew shake share
    shot shout show shows shut sing sings sit sits sleep sleeps slept slid slip smell smile smoke snuck sold
    speak spend spends spent spoke stand stands stare start starts stay stays steal stick stole stolen stood
    stop stops struck stuck studies study surf surprise swam swim swims take taken takes talk talks taste taught
    teach teaches tell tells tend thank think thinks thought threw throw throws told took touch travel travels
    tried tries try turn turns understand understood use used visit visits wait wake wakes walk walks want wants
    wash watch watches wear wears went wept win wins wish wishes woke won wonder wore work works worry write
    writes written wrote"""
)
"""Forms of common verbs that end in neither -ed nor -ing."""
_NOUNS = _list(
    """ally anomaly assembly belly breed building bully butterfly ceiling clothing creed darling deed dragonfly earring
    evening family frosting greed herring housing hundred icing jelly king lightning lily meeting monopoly morning
    offspring parking pricing pudding railing rally reed reply seed shed sibling siding sled sling speed spring
    steed sting stocking string supply swing thanksgiving thing trolley viking wedding weed wing"""
)
"""Nouns that end like other words."""
