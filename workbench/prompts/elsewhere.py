"""Sentences that a prompt should not hold, because a guardrail or an approval rule keeps them for certain."""

from __future__ import annotations

import re


def guarded(sentence: str) -> str:
    """Why a sentence belongs in a guardrail; empty where it does not."""
    return next((why for pattern, why in _GUARDRAIL if pattern.search(sentence)), "")


def is_approval(sentence: str) -> bool:
    """Whether a sentence sets a limit or permission that belongs in a tool's approval rule."""
    return any(all(part.search(sentence) for part in rule) for rule in _APPROVAL)


def _rule(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.I | re.S)


_NOT = r"(?:never|do not|don['’]t|must not|mustn['’]t|should not|shouldn['’]t|under no circumstances|refuse to|avoid)"
_SHOW = r"(?:reveal\w*|disclos\w+|shar(?:e|ing)|output|repeat|display|show|print|leak|expose|give (?:out|away)|hand out|tell|divulge)"
_SENSITIVE = (
    r"(?:pii\b|(?:credit |payment |debit )?card (?:numbers?|details|data)|cvv|cvc|passwords?|passcodes?|pins?\b|social security"
    r"|ssns?|ibans?|bank (?:account|details)|api keys?|secrets?|credentials|access tokens?"
    r"|(?:personal|private|customer) (?:data|information)"
    r"|(?:system |hidden |internal )?prompts?\b|(?:these|your|the|my|system|internal) (?:instructions|rules|guidelines)"
    r"|internal (?:notes?|tools?|systems?|information))"
)
_SOMEBODY = (
    r"(?:the |a |any |some)?(?:user|customer|client|someone|somebody|anyone|anybody|person|message|they|he or she)s?"
)
_ATTACK = (
    r"(?:trick|manipulat|jailbreak|bypass|circumvent|overrid|overwrit|hack|exploit|impersonat|get around|inject|convince you"
    r"|persuade you|make you|get you to|force you|talk you into"
    r"|(?:chang|alter|ignor|extract|reveal|see|access|steal|abus)\w*\b[^.;]{0,30}\b(?:instructions?|rules?|prompts?|guidelines?|other))"
)
_GUARDRAIL: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(rf"\b{_NOT}\b[^.;]{{0,40}}?\b{_SHOW}\b[^.;]{{0,60}}?\b{_SENSITIVE}", re.I),
        "A model follows this most of the time; a check on the reply follows it every time.",
    ),
    (
        re.compile(
            rf"\b(?:if|when|whenever|should)\b[^.;]{{0,12}}\b{_SOMEBODY}\b[^.;]{{0,20}}"
            rf"\b(?:tr(?:y|ies)|attempts?|wants?|asks? you|tells? you) to\s+{_ATTACK}",
            re.I,
        ),
        "This describes an attack. The text that attacks can also talk the model out of this sentence.",
    ),
    (
        re.compile(
            rf"\b(?:if|when|whenever)\b[^.;]{{0,12}}\b{_SOMEBODY}\b[^.;]{{0,30}}\b(?:asks?|tells?|orders?|instructs?)\b[^.;]{{0,20}}"
            r"\b(?:ignore|forget|disregard|override|change|reveal|repeat)\b[^.;]{0,30}\b(?:instructions?|rules?|prompts?|guidelines?)\b",
            re.I,
        ),
        "This describes an attack. The text that attacks can also talk the model out of this sentence.",
    ),
    (
        re.compile(
            r"\b(?:do not|don['’]t|never|must not) (?:follow|obey|execute|act on|comply with)\b[^.;]{0,30}"
            r"\b(?:instructions?|commands?|orders)\b"
            r"|\b(?:ignore|disregard)\b[^.;]{0,20}\b(?:instructions?|commands?|attempts?)\b[^.;]{0,30}\b(?:in|inside|within|from|to|of)\b"
            rf"|\b(?:{_NOT}|ignore|reject|resist)\b[^.;]{{0,20}}\b(?:prompt[- ]injections?|jailbreaks?)\b",
            re.I,
        ),
        "Whether a text holds instructions is better decided before the model reads it.",
    ),
    (
        re.compile(
            rf"\b(?:if|when|whenever)\b[^.;]{{0,12}}\b{_SOMEBODY}\b[^.;]{{0,20}}\b(?:pretends? to be|claims? to be (?:an? )?"
            r"(?:admin\w*|employee|developer|manager|colleague)|poses? as|impersonates?|is abusive|becomes abusive|insults?|swears?"
            r"|threatens?|uses? (?:profanity|abusive language|swear words))\b",
            re.I,
        ),
        "This is an edge case of the message, not of the task; a check on the input finds it in every flow.",
    ),
)
_MONEY = r"(?:(?:\$\$?|[€£¥])\s?\d[\d.,]*|\b\d[\d.,]*\s?(?:%|percent\b|[€£]|(?:us )?dollars?\b|euros?\b|pounds?\b|usd\b|eur\b|gbp\b))"
_PAY = r"(?:refund|credit|discount|compensat|waiv|pay ?out|pay back|reimburs|voucher|coupon|gift card|certificate|goodwill)"
_ALLOW = r"(?:approv\w+|authori[sz]\w+|permission|sign[- ]?off|ask(?:ing)? (?:a|your|the) (?:manager|supervisor|team lead|colleague))"
_BOSS = r"(?:manager|supervisor|team lead\w*|admin\w*|senior agent|head of \w+|finance(?: team)?)s?"
_DO = r"(?:refund|cancel|delete|close|change|modify|issue|grant|approve|waive|access|credit|give|offer|promise|pay|transfer|edit|remove)"
_MAX = r"(?:up to|at most|no more than|not more than|more than|above|over|exceed\w*|less than|under|below|worth|a maximum of)"
_MAY = (
    r"\b(?:you|agents?) (?:may|can|could|must|are (?:not )?(?:allowed|authori[sz]ed|permitted) to)\b"
    r"|\b(?:do not|don['’]t|never)\b|\bmust not\b"
)
_CONSENT = r"(?:approval|permission|authori[sz]ation|sign[- ]?off)"
_APPROVAL: tuple[tuple[re.Pattern[str], ...], ...] = (
    (_rule(_MONEY), _rule(rf"\b{_PAY}"), _rule(rf"\b{_ALLOW}")),
    (_rule(rf"\b{_PAY}"), _rule(rf"(?:{_MAY}).{{0,60}}\b{_MAX}\s+{_MONEY}")),
    (
        _rule(rf"\b{_PAY}"),
        _rule(
            rf"\b(?:you|agents?) (?:may|can|could) (?:offer|give|issue|grant|refund|credit|pay|waive)\b.{{0,300}}{_MONEY}"
        ),
    ),
    (_rule(rf"\bonly (?:an? |the |your )?{_BOSS} (?:may|can|are allowed to|is allowed to|must)\b"),),
    (_rule(rf"\byou (?:are not|aren['’]t|are) (?:allowed|authori[sz]ed|permitted) to {_DO}\b"),),
    (
        _rule(
            rf"\b(?:get|ask|needs?|requires?|obtain|request|without|seek)\b[^.;]{{0,20}}\b{_BOSS}(?:['’]s?)? {_CONSENT}\b"
            rf"|\b{_CONSENT} (?:from|by|of) (?:an? |the |your )?{_BOSS}\b"
        ),
    ),
)
