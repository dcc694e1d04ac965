"""An IMAP server on this machine: as much of RFC 3501 as reading a folder takes, and what goes wrong."""

import re
import socketserver
from base64 import b64decode
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from threading import Thread


def mail(number: int, text: str | None = None, sender: str = "Ann <Ann@Example.org>") -> bytes:
    """A message of support mail."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, "help@lumora.example", f"Ticket {number}: 电池"
    message["Date"], message["Message-ID"] = "Sun, 01 Mar 2026 08:00:00 +0800", f"<{number}@example.org>"
    message.set_content(text or f"mail {number}, the battery is awful\n\nOn Monday Bob wrote:\n> old words\n")
    message.add_attachment(b"secret attachment", maintype="application", subtype="octet-stream", filename="a.bin")
    return message.as_bytes()


@dataclass
class Mailbox:
    """A folder with messages by UID."""

    mails: dict[int, bytes]
    user: str = "help"
    password: str = "s3cret"
    says: str = ""
    """Of a wrong password, instead of what was sent."""
    mechanisms: str = "AUTH=XOAUTH2 AUTH=PLAIN"
    validity: int = 7
    faults: deque[bytes | None] = field(default_factory=deque)
    """What the next FETCH is answered instead; None: the connection breaks."""
    came: dict[int, datetime] = field(default_factory=dict)
    """The internal date of messages, for SEARCH SINCE; those without one are of any day."""
    log: list[str] = field(default_factory=list)
    port: int = 0
    folder: str = "INBOX"
    """Its name as it goes over the wire."""
    flood: bytes = b""
    """Sent for ever instead of the answer to a FETCH."""
    leaving: deque[int] = field(default_factory=deque)
    """UIDs that are moved away, one after each SEARCH."""

    def answer(self, tag: bytes, command: bytes) -> bytes | None:
        """What a command is answered; None breaks the connection."""
        word, _, rest = command.partition(b" ")
        self.log.append(command.decode("ascii", "replace").replace(self.password, "***"))
        word = word.upper()
        if word == b"CAPABILITY":
            return f"* CAPABILITY IMAP4rev1 {self.mechanisms}\r\n".encode() + tag + b" OK done\r\n"
        if word == b"LOGIN":
            words = re.findall(rb'"(?:[^"\\]|\\.)*"|\S+', rest)
            spoken = [re.sub(rb"\\(.)", rb"\1", word[1:-1]) if word[:1] == b'"' else word for word in words]
            right = spoken == [self.user.encode(), self.password.encode()]
            no = self.says.encode() or b"[AUTHENTICATIONFAILED] invalid " + rest
            return tag + (b" OK done\r\n" if right else b" NO " + no + b"\r\n")
        if word == b"EXAMINE":
            if rest.strip(b'"').decode() != self.folder:
                return tag + b" NO no such folder\r\n"
            told = f"* {len(self.mails)} EXISTS\r\n* OK [UIDVALIDITY {self.validity}] valid\r\n".encode()
            return told + tag + b" OK [READ-ONLY]\r\n"
        if word == b"UID":
            return self.by_uid(tag, rest)
        if word == b"LOGOUT":
            return b"* BYE bye\r\n" + tag + b" OK done\r\n"
        return tag + b" BAD unknown\r\n"

    def by_uid(self, tag: bytes, rest: bytes) -> bytes | None:
        """SEARCH and FETCH."""
        if found := re.fullmatch(rb"SEARCH (?:(\d+):(\d+|\*) )?(UID|SINCE) (\S+)", rest):
            uids = sorted(self.mails)
            if found[1]:
                uids = uids[int(found[1]) - 1 : None if found[2] == b"*" else int(found[2])]
            if found[3] == b"UID":
                uids = [uid for uid in uids if uid >= int(found[4].removesuffix(b":*"))] or uids[-1:]
            else:
                day = datetime.strptime(found[4].decode(), "%d-%b-%Y").replace(tzinfo=UTC)
                uids = [uid for uid in uids if self.came.get(uid, day) >= day]
            if self.leaving:
                del self.mails[self.leaving.popleft()]
            return b"* SEARCH " + " ".join(map(str, uids)).encode() + b"\r\n" + tag + b" OK done\r\n"
        found = re.match(rb"FETCH ([\d,]+) \(UID BODY.PEEK\[\]<0.(\d+)>\)", rest)
        if found is None:
            return tag + b" BAD unknown\r\n"
        if self.faults:
            return self.faults.popleft()
        parts = []
        for number, uid in enumerate(map(int, found[1].split(b",")), 1):
            if uid in self.mails:
                data = self.mails[uid][: int(found[2])]
                parts.append(b"* %d FETCH (UID %d BODY[]<0> {%d}\r\n" % (number, uid, len(data)) + data + b")\r\n")
        return b"".join(parts) + tag + b" OK done\r\n"


@contextmanager
def mail_server(box: Mailbox) -> Iterator[Mailbox]:
    """Run a server with one folder."""

    class Talk(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"* OK ready\r\n")
            while line := self.rfile.readline():
                tag, _, command = line.strip().partition(b" ")
                if command.upper().startswith(b"AUTHENTICATE "):
                    self.wfile.write(b"+ \r\n")
                    spoken = self.rfile.readline()
                    right = b64decode(spoken).decode() in (
                        f"user={box.user}\x01auth=Bearer {box.password}\x01\x01",
                        f"\0{box.user}\0{box.password}",
                    )
                    self.wfile.write(tag + (b" OK done\r\n" if right else b" NO failed: " + spoken))
                    continue
                with suppress(OSError):
                    while box.flood and command.startswith(b"UID FETCH"):
                        self.wfile.write(box.flood)
                told = box.answer(tag, command)
                if told is None:
                    return
                with suppress(OSError):
                    self.wfile.write(told)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Talk) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        box.port = server.server_address[1]
        try:
            yield box
        finally:
            server.shutdown()
            thread.join(10)
