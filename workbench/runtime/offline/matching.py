"""Words, concepts and scores: how well one text answers another. Pure functions of text."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

SYNONYM = 0.7


class Term(NamedTuple):
    """A word reduced to its stem, and the concept that the stem stands for (itself when it has no group)."""

    stem: str
    concept: str


@dataclass(frozen=True)
class Document:
    """Something to choose, described by texts of falling weight (a name says more than a description)."""

    key: str
    fields: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Match:
    """A score and its reasons: (word of the need, weight it earned)."""

    key: str
    score: float
    because: tuple[tuple[str, float], ...]

    @property
    def strength(self) -> float:
        """The heaviest single reason."""
        return max((weight for _, weight in self.because), default=0.0)

    @property
    def matched(self) -> frozenset[str]:
        """The concepts that matched."""
        return frozenset(concept(word) for word, _ in self.because)


def rank(need: str, documents: Sequence[Document]) -> dict[str, Match]:
    """Score each document against the need: the sum over the need's words of field weight times rarity."""
    tables = [(document, _weights(document)) for document in documents]
    wanted = terms(need)
    rarity = {
        term: math.log(1 + len(tables) / max(1, sum(("~" + term.concept) in table for _, table in tables)))
        for term in wanted
    }
    matches = {}
    for document, table in tables:
        because = tuple(
            (term.stem, round(weight, 3))
            for term in wanted
            if (weight := max(table.get(term.stem, 0.0), table.get("~" + term.concept, 0.0)))
        )
        earned = dict(because)
        score = sum(earned[term.stem] * rarity[term] for term in wanted if term.stem in earned)
        matches[document.key] = Match(document.key, round(score, 6), because)
    return matches


def overlap(need: str, text: str) -> float:
    """The share of the need's words that the text has, from 0 to 1; a synonym counts a little less."""
    wanted = terms(need)
    if not wanted:
        return 0.0
    stems = {term.stem for term in terms(text)}
    shared = concepts(text)
    return sum(1.0 if t.stem in stems else SYNONYM if t.concept in shared else 0.0 for t in wanted) / len(wanted)


@lru_cache(maxsize=4096)
def terms(text: str) -> tuple[Term, ...]:
    """The words that carry meaning, each once, in order."""
    return tuple(dict.fromkeys(Term(stem(w), concept(w)) for w in words(text) if _means(w)))


@lru_cache(maxsize=4096)
def concepts(text: str) -> frozenset[str]:
    """The concepts that a text mentions."""
    return frozenset(term.concept for term in terms(text))


@lru_cache(maxsize=4096)
def concept(word: str) -> str:
    """The name of the word's group of synonyms, or its stem."""
    known = _EXACT.get(word) or _EXACT.get(stem(word))
    return known or next((name for prefix, name in _PREFIXES if word.startswith(prefix)), stem(word))


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Folded words in order; snake_case and camelCase names fall apart into their words."""
    folded = fold(re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).replace("_", " "))
    for pattern, replacement in _PHRASES:
        folded = pattern.sub(replacement, folded)
    return tuple(re.findall(r"[^\W_]+", folded.replace("'", "")))


@lru_cache(maxsize=4096)
def stem(word: str) -> str:
    """A light English stem: plural, -ing, -ed and a silent e."""
    if len(word) <= 3 or not word.isascii() or any(c.isdigit() for c in word):
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif re.search(r"(?:ss|sh|ch|x|z)es$", word):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for suffix in ("ing", "ed"):
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and re.search("[aeiouy]", word[: -len(suffix)]):
            word = word[: -len(suffix)]
            if word[-1] == word[-2] and word[-1] not in ("sz" if len(word) > 4 else "lszef"):
                word = word[:-1]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def fold(text: str) -> str:
    """Lower case without accents, so that "Rückerstattung" and "ruckerstattung" are one word."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c)).replace("’", "'")


def plain(name: str) -> str:
    """`expectedDelivery_date` as "expected delivery date"."""
    return re.sub(r"[\W_]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)).strip().lower()


def sentences(text: str) -> list[str]:
    """The sentences of a text; a heading, a list item and a line are each one."""
    found = []
    for line in text.splitlines():
        line = re.sub(r"^\s*(?:#+|[-*•]|\d+\.)\s+", "", line).strip()
        found += [part.strip() for part in re.split(r"(?<=[.!?])\s+(?=[^\W\d_a-z]|\d|[\"“(])", line) if part.strip()]
    return found


def is_instruction(text: str) -> bool:
    """Whether a text speaks to the model instead of stating something: such text is never quoted or followed."""
    return bool(_ORDERS_TO_A_MACHINE.search(text))


def harmless(text: str) -> str:
    """The text without the sentences that speak to the model."""
    if not is_instruction(text):
        return text
    return " ".join(part for part in sentences(text) if not is_instruction(part))


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


@lru_cache(maxsize=2048)
def _weights(document: Document) -> dict[str, float]:
    found: dict[str, float] = {}
    for weight, text in document.fields:
        for term in terms(text):
            found[term.stem] = max(found.get(term.stem, 0.0), weight)
            shared = "~" + term.concept
            found[shared] = max(found.get(shared, 0.0), weight * SYNONYM)
    return found


def _means(word: str) -> bool:
    return word not in STOP and len(word) > 1 and (word in _EXACT or not any(c.isdigit() for c in word))


# A trailing * matches every word that begins so, which is how German compounds ("Bestellnummer") are caught.
_GROUPS: Mapping[str, str] = {
    "order": "order parcel package shipment ship delivery deliver purchase bestell* lieferung paket sendung commande* "
    "colis livraison pedido* paquete envio encomenda* entrega*",
    "refund": "refund reimburse reimbursement moneyback return ruckerstatt* rueckerstatt* erstatt* ruckgabe rueckgabe "
    "zuruckgeben rembours* retourner reembols* devol* devuelv*",
    "invoice": "invoice bill billing receipt rechnung* facture facturation factura* fatura* quittung recibo*",
    "payment": "payment pay charge paid zahlung* bezahl* abbuch* paiement payer prelevement pago pagar pagamento cobr*",
    "login": "login password signin passcode credential passwort kennwort anmeld* einlogg* motdepasse connexion "
    "contrasena senha 2fa mfa",
    "cancel": "cancel cancellation cancelation terminate kundig* kuendig* stornier* storno annul* resili* cancelar "
    "cancele cancelacion anular unsubscribe stop",
    "subscription": "subscription membership abo abonnement* suscripcion assinatura plan",
    "address": "address adresse* anschrift direccion endereco",
    "account": "account profile konto kontos compte cuenta conta",
    "status": "status where track tracking progress eta wo wann ou quand donde cuando onde quando",
    "person": "person human manager supervisor representative colleague mensch mitarbeiter* humain conseiller humano "
    "persona gerente atendente",
    "people": "people guest attendee participant visitor seat traveller traveler passenger",
    "book": "book reserve booking reservation buchen buchung reservier* reserver reservar reserva appointment",
    "change": "update change edit modify correct amend andern aendern geandert changer modifier cambiar alterar mudar",
    "technical": "technical bug crash error issue problem fehler* erreur* panne technisch* fallo",
    "damaged": "damaged broken defective faulty kaputt defekt* casse defectueux roto danado smashed",
    "customer": "customer client kunde* kunden* cliente",
    "amount": "amount total price cost sum preis* betrag prix montant precio monto preco valor",
    "warranty": "warranty guarantee garantie garantia",
    "reset": "reset forgot forgotten recover restore zurucksetzen vergessen oublie olvide esqueci",
    "delete": "delete remove erase loschen loeschen supprimer borrar eliminar apagar",
    "send": "send resend email forward schicken senden envoyer enviar",
    "create": "create open make raise add submit file start new register place",
    "expensive": "expensive pricey costly teuer cher caro",
    "high": "high urgent urgently asap immediately emergency dringend",
    "room": "room raum zimmer salle sala",
    "late": "late delay delayed overdue verspat* retard atras*",
    "unused": "unused use using used",
    "carrier": "carrier carries carried courier haulier",
}


_PHRASES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"\bmoney[ -]back\b|\bgeld zuruck\b", "moneyback"),
        (r"\b(?:log|sign)[ -](?:in|on)\b|\b(?:log|sign)ging in\b", "login"),
        (r"\bmot de passe\b", "motdepasse"),
        (r"\be-mails?\b", "email"),
        (
            r"\b((?:have|get|want|like)\b[^!?]{0,30}\b(?:fee|cost|price|charge|amount|payment)s?\b[^!?]{0,25}?) back\b",
            r"\1 moneyback",
        ),
        (r"\b(?:send|sent|sending|give|bring|take|post)((?: \w+){1,3}) back\b", r"return\1"),
    )
)


STOP = word_set(
    "a an the and or but if then of for to in on at by with from as is are was were be been am do does did have has "
    "had i me my mine we us our you your it its he she they them this that these those there here what which who how "
    "why "
    "can could will would shall should may might must please need want like just so not no yes any some all about into "
    "when also too very up out over im id ive dont doesnt cant t s m re ve ll hello hi hey thanks thank "
    "help handle request question agent user information info detail service support team desk specialist given take "
    "return_value thing one tell let say ask give know got go "
    "der die das meiner meinem einer ein eine einen "
    " meine mein meinen ich mochte moechte und ist fur bitte wie ich zu nicht sie "
    "le la les un une des du de mon ma mes je voudrais veux et est pour avec mi el los las una quiero por y es con "
    "o os as meu minha quero para com um uma que "
    "find get look show check see fetch search list view lookup"
)


ID_WORDS = word_set("id number no nr num code ref reference key identifier nummer numero")


_EXACT: Mapping[str, str] = {
    form: name
    for name, words in _GROUPS.items()
    for word in words.split()
    if not word.endswith("*")
    for form in (word, stem(word))
}


_PREFIXES: tuple[tuple[str, str], ...] = tuple(
    (word[:-1], name) for name, words in _GROUPS.items() for word in words.split() if word.endswith("*")
)


_ORDERS_TO_A_MACHINE = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:instruction|previous|prior|above|rule|"
    r"prompt|polic|guard)"
    r"|system prompt|developer message|\byou are now\b|\bnew instructions?\b|<\|?/?(?:system|assistant|im_start)"
    r"|^\s*(?:system|assistant|developer)\s*:|\b(?:call|invoke|execute|run|use)\b.{0,20}\b(?:tool|function)\b"
    r"|\b\w+_\w+\s*\(|\bas an ai\b|\bpretend (?:to be|you)\b"
    r"|\b(?:reveal|print|repeat|leak)\b.{0,30}\b(?:prompt|instruct|secret)"
    r"|\b(?:assistant|model|bot|ai)\b.{0,15}\b(?:must|should|has to)\b"
    r"|\bdo not (?:tell|inform) the (?:user|customer)\b",
    re.IGNORECASE,
)
