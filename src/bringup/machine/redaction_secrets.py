"""What is a secret by its shape or by the name that stands before it: a table of patterns.

A table: each entry is one kind of secret. The group `value` is what is taken out. No pattern begins with an
unbounded repetition, so that reading stays linear; `anchors` and `marks` spare most texts the reading at all,
and a short command the compiling.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from bringup.patterns import regex
from bringup.records import dataclass


@dataclass(frozen=True, slots=True)
class Pattern:
    """One kind of private thing.

    Attributes:
        kind: names the pseudonyms.
        shape: finds it; the group `value` is private.
        stays: whether a match is known to be harmless.
        anchors: words in lower case of which a text with a match holds one; none for a shape without words.
        marks: runs of one character of which a text with a match holds one, apart or together; none for a
            shape without.
    """

    kind: str
    shape: re.Pattern[str]
    stays: Callable[[re.Match[str]], bool] = lambda _match: False
    anchors: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()

    def is_marked(self, text: str) -> bool:
        """Whether a text holds the marks that a match of it needs."""
        return not self.marks or any(text.count(mark[0]) >= len(mark) for mark in self.marks)


_SECRET_NAME: Final = (
    r"(?:token(?!iz|s)|secret|passw(?:or)?d|passphrase|passcode|authtok"
    r"|(?:api|access|account|private|shared|signing|encryption)[_-]?key|(?:wpa|wep|wifi)[_-]?(?:psk|key)"
    r"|preshared|credential|cookie)"
)
SECRET_NAME: Final = regex(f"(?i){_SECRET_NAME}")
"""A variable, a field or an option of such a name holds a secret."""

_SECRET_OPTION: Final = rf"--?{_SECRET_NAME}(?![\w-]{{0,40}}file)[\w-]{{0,40}}"
SECRET_OPTION: Final = regex(f"(?i){_SECRET_OPTION}")
"""An option whose value, in the next argument, is a secret; one that names a file is not.

The rest of its name is bounded: in a line of `-token-token-...` each place would read on to the end.
"""

_STRONG_NAME: Final = (
    r"(?i)(?:secret|passw(?:or)?d|passphrase|passcode|authtok|(?:wpa|wep|wifi)[_-]?(?:psk|key))"
)
"""Names whose values may hold spaces: all to the end of the line is taken for the value."""

_STRONG_WORDS: Final = ("secret", "passw", "passphrase", "passcode", "authtok", "wpa", "wep", "wifi")
_NAME_WORDS: Final = (*_STRONG_WORDS, "token", "key", "preshared", "credential", "cookie")
_NO_SECRET: Final = regex(r"(?i)none|null|nil|true|false|yes|no|set|unset|empty|required|\*+|\.\.\.|<.*>")
_EQUALS: Final = r"""[\w.-]{0,40}\\?["']?\s{0,4}(?:=>|[=:])\s{0,4}"""

_TOKENS: Final = (
    *("hf_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "nvapi-", "npm_", "dckr_pat_"),
    *("xoxa-", "xoxb-", "xoxr-", "xoxs-", "xoxp-", "xapp-", "sk-", "pk-", "rk_live_", "rk_test_", "sk_live_"),
    *("sk_test_", "gsk_", "r8_", "pypi-Ag", "hvs.", "tskey-", "dop_v1_", "lin_api_", "figd_", "shpat_"),
    *("glsa_", "dp.pt.", "PMAK-", "sntrys_", "whsec_", "SG.", "GOCSPX-", "lsv2_", "AGE-SECRET-KEY-1", "AKIA"),
    *("ASIA", "AIza", "ya29."),
)
"""What the tokens of services begin with."""

PRIVATE_KEY: Final = Pattern(
    "secret",
    regex(
        r"(?P<value>-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,40}-----|\Z))", re.DOTALL
    ),
    anchors=("private key-----",),
)
"""The one that spans lines."""

SECRETS: Final = (
    Pattern(
        "secret",
        regex(r"(?:ssh-(?:rsa|dss|ed25519)|ecdsa-sha2-\w{1,20}) (?P<value>AAAA[\w+/=]+)"),
        anchors=("ssh-", "ecdsa-"),
    ),
    Pattern(
        "secret",
        regex(
            r"(?i)\bauthorization\\?[\"']?\s?[:=]\s?[\"']?"
            r"(?P<value>(?:(?:bearer|basic|token|digest|negotiate) )?[^\s\"',]+)"
        ),
        anchors=("authorization",),
    ),
    Pattern("secret", regex(r"(?i)\bbearer\s(?P<value>[\w.~+/=-]{12,})"), anchors=("bearer",)),
    Pattern("secret", regex(r"(?i)[a-z]://(?P<value>[^\s/@\"']{1,400})@"), anchors=("://",)),
    Pattern(
        "secret",
        regex(
            r"(?i)[?&](?:[\w-]{0,20}(?:token|key|sig|signature|password|secret|credential))=(?P<value>[^&\s\"'#]+)"
        ),
        anchors=("?", "&"),
    ),
    Pattern(
        "secret",
        regex(
            rf"(?<![A-Za-z0-9])(?P<value>(?:{'|'.join(map(re.escape, _TOKENS))}|eyJ[\w-]{{8,}}\.)"
            r"[\w.-]{12,}|pypi-\w{30,})"
        ),
        anchors=(*map(str.lower, _TOKENS), "eyj", "pypi-"),
    ),
    Pattern(
        "secret",
        regex(f"(?i){_SECRET_NAME}" + _EQUALS + r"""(?P<quote>["'])(?P<value>[^"'\\\n]{3,400})(?P=quote)"""),
        anchors=_NAME_WORDS,
    ),
    Pattern(
        "secret",
        regex(_STRONG_NAME + _EQUALS + r"""\\?["']?(?P<value>[^\s"',;&\\][^"',;&\\\n]{1,400})"""),
        stays=lambda match: _NO_SECRET.fullmatch(match["value"].strip()) is not None,
        anchors=_STRONG_WORDS,
    ),
    Pattern(
        "secret",
        regex(f"(?i){_SECRET_NAME}" + _EQUALS + r"""["']?(?P<value>[^\s"',;&\\]{8,})"""),
        stays=lambda match: match["value"].isdecimal(),
        anchors=_NAME_WORDS,
    ),
    Pattern(
        "secret",
        regex(
            _SECRET_OPTION + r"""[\s=]{1,4}(?P<quote>["'])(?P<value>[^"'\n]{3,400})(?P=quote)""",
            re.IGNORECASE,
        ),
        anchors=_NAME_WORDS,
    ),
    Pattern(
        "secret",
        regex(_SECRET_OPTION + r"[\"',\s=]{1,4}(?P<value>[^\s\"',]{3,})", re.IGNORECASE),
        anchors=_NAME_WORDS,
    ),
    Pattern(
        "secret",
        regex(
            r"(?i)(?:hooks\.slack\.com/(?:services|workflows)|discord(?:app)?\.com/api/webhooks|api\.telegram\.org)"
            r"/(?P<value>[\w/:-]{12,200})"
        ),
        anchors=("hooks", "telegram"),
    ),
)
