"""Requests to begin with: those of browsers and of programs, and wrong ones."""
import pathlib

FORMS = {
    "browser": "GET /api/curves?name=a%2Fb&name=c+d&metric=loss HTTP/1.1\r\nHost: 127.0.0.1:7860\r\nAccept: */*\r\n\r\n",
    "old": "GET /metrics HTTP/1.0\n\n",
    "head": "HEAD / HTTP/1.1\r\nHOST:localhost\r\n\r\n",
    "escapes": "GET /%2e%2e/%00%zz?%=&&=x HTTP/1.1\r\n\r\n",
    "twice": "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "folded": "GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n",
    "body": "POST /api/runs HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc",
}
for name, text in FORMS.items():
    pathlib.Path(name).write_bytes(text.encode())
