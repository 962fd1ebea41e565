"""What is a secret by its shape or by the name that stands before it: a table of patterns.

A table: each entry is one kind of secret. The group `value` is what is taken out. No pattern begins with an
unbounded repetition, so that reading stays linear; `anchors` spare most texts the reading at all.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of private thing.

    Attributes:
        kind: names the pseudonyms.
        shape: finds it; the group `value` is private.
        stays: whether a match is known to be harmless.
        anchors: words in lower case of which a text with a match holds one; none for a shape without words.
    """

    kind: str
    shape: re.Pattern[str]
    stays: Callable[[re.Match[str]], bool] = lambda _match: False
    anchors: tuple[str, ...] = ()


SECRET_NAME: Final = re.compile(
    r"(?i)(?:token(?!iz|s)|secret|passw(?:or)?d|passphrase|passcode|authtok"
    r"|(?:api|access|account|private|shared|signing|encryption)[_-]?key|(?:wpa|wep|wifi)[_-]?(?:psk|key)"
    r"|preshared|credential|cookie)"
)
"""A variable, a field or an option of such a name holds a secret."""

SECRET_OPTION: Final = re.compile(
    rf"--?{SECRET_NAME.pattern[4:]}(?![\w-]{{0,40}}file)[\w-]{{0,40}}", re.IGNORECASE
)
"""An option whose value, in the next argument, is a secret; one that names a file is not.

The rest of its name is bounded: in a line of `-token-token-...` each place would read on to the end.
"""

_STRONG_NAME: Final = (
    r"(?i)(?:secret|passw(?:or)?d|passphrase|passcode|authtok|(?:wpa|wep|wifi)[_-]?(?:psk|key))"
)
"""Names whose values may hold spaces: all to the end of the line is taken for the value."""

_STRONG_WORDS: Final = ("secret", "passw", "passphrase", "passcode", "authtok", "wpa", "wep", "wifi")
_NAME_WORDS: Final = (*_STRONG_WORDS, "token", "key", "preshared", "credential", "cookie")
_NO_SECRET: Final = re.compile(
    r"(?i)none|null|nil|true|false|yes|no|set|unset|empty|required|\*+|\.\.\.|<.*>"
)
_EQUALS: Final = r"""[\w.-]{0,40}\\?["']?\s{0,4}(?:=>|[=:])\s{0,4}"""

PRIVATE_KEY: Final = Pattern(
    "secret",
    re.compile(
        r"(?P<value>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}-----|\Z))", re.DOTALL
    ),
    anchors=("private key-----",),
)
"""The one that spans lines."""

SECRETS: Final = (
    Pattern(
        "secret",
        re.compile(r"(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\w{1,20}) (?P<value>AAAA[\w+/=]+)"),
        anchors=("ssh-", "ecdsa-"),
    ),
    Pattern(
        "secret",
        re.compile(
            r"(?i)\bauthorization\\?[\"']?\s?[:=]\s?[\"']?"
            r"(?P<value>(?:(?:bearer|basic|token|digest|negotiate) )?[^\s\"',]+)"
        ),
        anchors=("authorization",),
    ),
    Pattern("secret", re.compile(r"(?i)\bbearer\s(?P<value>[\w.~+/=-]{12,})"), anchors=("bearer",)),
    Pattern("secret", re.compile(r"(?i)[a-z]://(?P<value>[^\s/@\"']{1,400})@"), anchors=("://",)),
    Pattern(
        "secret",
        re.compile(
            r"(?i)[?&](?:[\w-]{0,20}(?:token|key|sig|signature|password|secret|credential))=(?P<value>[^&\s\"'#]+)"
        ),
        anchors=("?", "&"),
    ),
    Pattern(
        "secret",
        re.compile(
            r"(?<![A-Za-z0-9])(?P<value>(?:hf_|gh[pousr]_|github_pat_|glpat-|nvapi-|npm_|dckr_pat_|xox[abprs]-|xapp-"
            r"|sk-|pk-|[rs]k_(?:live|test)_|gsk_|r8_|pypi-Ag|hvs\.|tskey-|dop_v1_|lin_api_|figd_|shpat_|glsa_|dp\.pt\."
            r"|PMAK-|sntrys_|whsec_|SG\.|GOCSPX-|lsv2_|AGE-SECRET-KEY-1|AKIA|ASIA|AIza|ya29\.|eyJ[\w-]{8,}\.)"
            r"[\w.-]{12,}|pypi-\w{30,})"
        ),
    ),
    Pattern(
        "secret",
        re.compile(
            SECRET_NAME.pattern + _EQUALS + r"""(?P<quote>["'])(?P<value>[^"'\\\n]{3,400})(?P=quote)"""
        ),
        anchors=_NAME_WORDS,
    ),
    Pattern(
        "secret",
        re.compile(_STRONG_NAME + _EQUALS + r"""\\?["']?(?P<value>[^\s"',;&\\][^"',;&\\\n]{1,400})"""),
        stays=lambda match: _NO_SECRET.fullmatch(match["value"].strip()) is not None,
        anchors=_STRONG_WORDS,
    ),
    Pattern(
        "secret",
        re.compile(SECRET_NAME.pattern + _EQUALS + r"""["']?(?P<value>[^\s"',;&\\]{8,})"""),
        stays=lambda match: match["value"].isdecimal(),
        anchors=_NAME_WORDS,
    ),
    Pattern(
        "secret",
        re.compile(
            SECRET_OPTION.pattern + r"""[\s=]{1,4}(?P<quote>["'])(?P<value>[^"'\n]{3,400})(?P=quote)""",
            re.IGNORECASE,
        ),
        anchors=_NAME_WORDS,
    ),
    Pattern(
        "secret",
        re.compile(SECRET_OPTION.pattern + r"[\"',\s=]{1,4}(?P<value>[^\s\"',]{3,})", re.IGNORECASE),
        anchors=_NAME_WORDS,
    ),
    Pattern(
        "secret",
        re.compile(
            r"(?i)(?:hooks\.slack\.com/(?:services|workflows)|discord(?:app)?\.com/api/webhooks|api\.telegram\.org)"
            r"/(?P<value>[\w/:-]{12,200})"
        ),
        anchors=("hooks", "telegram"),
    ),
)
