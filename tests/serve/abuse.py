#!/usr/bin/env python3
"""What an open port must survive, against a service that runs: slow heads and bodies, endless and wrong ones,
pipelining, peers that go, and as many idle connections as this machine allows.

    python3 tests/serve/abuse.py http://127.0.0.1:8080 PID

Prints what was seen, a line for each thing. Ends with 1 where the service died, said something that it must not say, was
not to be reached by `GET /health/live` meanwhile, or has more sockets at the end than it had at the beginning.
`DOCMILL_API_KEY` is sent where it is set. Standard library only; the limits of the service are taken to be the defaults.
"""

import os
import resource
import socket
import struct
import sys
import threading
import time
from urllib.parse import urlsplit

# The defaults of [serve], and what a busy machine may add.
HEADER, IDLE, MARGIN = 10, 30, 20

URL, PID = urlsplit(sys.argv[1]), int(sys.argv[2])
PLACE = (URL.hostname, URL.port or 80)
KEY = os.environ.get("DOCMILL_API_KEY")
COMMON = f"Host: {URL.netloc}\r\n" + (f"Authorization: Bearer {KEY}\r\n" if KEY else "")
BOUNDARY = "Content-Type: multipart/form-data; boundary=b\r\n"
PART = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\n'

failures = []
lock = threading.Lock()


def say(what, good, seen):
    with lock:
        print(f"{'ok  ' if good else 'FAIL'}  {what}: {seen}", flush=True)
        if not good:
            failures.append(what)


def connect(source=None, patience=60):
    connection = socket.socket()
    connection.settimeout(patience)
    if source:
        connection.bind((source, 0))
    connection.connect(PLACE)
    return connection


def rest(connection):
    """What comes until the service ends the connection."""
    said = b""
    try:
        while more := connection.recv(65536):
            said += more
    except (ConnectionError, TimeoutError):
        pass
    return said


def status(said):
    parts = said.split(b" ", 2)
    return int(parts[1]) if said.startswith(b"HTTP/1.") and len(parts) > 1 and parts[1].isdigit() else 0


def send(data, patience=60):
    with connect(patience=patience) as connection:
        try:
            connection.sendall(data if isinstance(data, bytes) else data.encode())
        except ConnectionError:
            pass
        return rest(connection)


def live():
    """How long `GET /health/live` takes, in seconds; nothing where it is not answered."""
    begun = time.monotonic()
    try:
        said = send(f"GET /health/live HTTP/1.1\r\n{COMMON}Connection: close\r\n\r\n", patience=10)
    except OSError:
        return None
    return time.monotonic() - begun if status(said) == 200 else None


def sockets():
    found = 0
    for name in os.listdir(f"/proc/{PID}/fd"):
        try:
            found += os.readlink(f"/proc/{PID}/fd/{name}").startswith("socket:")
        except OSError:
            pass
    return found


def alive():
    try:
        with open(f"/proc/{PID}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def dripped(head, bytes_, every, patience):
    """Sends a byte now and then until the service ends it: after how long, and what it said."""
    begun = time.monotonic()
    with connect(patience=every) as connection:
        connection.sendall(head.encode())
        said = b""
        while time.monotonic() - begun < patience:
            try:
                connection.send(bytes_)
                more = connection.recv(65536)
                said += more
                if not more:
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
    return time.monotonic() - begun, said


def slow_heads():
    took, said = dripped("GET /health/live HTTP/1.1\r\n", b"a: b\r\n", 0.5, HEADER + MARGIN)
    say("a head that comes in drops", took < HEADER + MARGIN, f"ended after {took:.1f} s, {said[:30]!r}")


def silence():
    begun = time.monotonic()
    with connect(patience=HEADER + MARGIN) as connection:
        said = rest(connection)
    took = time.monotonic() - begun
    say("a peer that says nothing", took < HEADER + MARGIN, f"ended after {took:.1f} s, {said[:30]!r}")


def slow_body():
    begun = time.monotonic()
    head = f"POST /v1/documents HTTP/1.1\r\n{COMMON}{BOUNDARY}Content-Length: 5000\r\n\r\n{PART}some"
    said = send(head, patience=IDLE + MARGIN)
    took = time.monotonic() - begun
    good = took < IDLE + MARGIN and status(said) in (401, 408, 503)
    say("a body that stops", good, f"{status(said)} after {took:.1f} s")


def endless():
    with connect() as connection:
        head = f"POST /v1/documents HTTP/1.1\r\n{COMMON}{BOUNDARY}Transfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode() + b"%x\r\n%s\r\n" % (len(PART), PART.encode()))
        chunk, sent = b"10000\r\n" + b"x" * 0x10000 + b"\r\n", 0
        connection.settimeout(10)
        try:
            # A gigabyte is endless for any limit that makes sense.
            while sent < 1 << 30:
                connection.sendall(chunk)
                sent += 0x10000
        except OSError:
            pass
        said = rest(connection)
    # Who sends on and on beyond what is dropped is reset, and may not read the answer.
    good = sent < 1 << 30 and status(said) in (0, 401, 413, 503)
    say("an endless chunked body", good, f"{status(said)} after {sent >> 20} MiB")


def huge():
    head = f"POST /v1/documents HTTP/1.1\r\n{COMMON}{BOUNDARY}Content-Length: 10737418240\r\n\r\n{PART}"
    with connect() as connection:
        connection.sendall(head.encode())
        connection.shutdown(socket.SHUT_WR)
        said = rest(connection)
    say("10 GB declared, then closed", status(said) in (0, 400, 401, 413, 503), status(said))
    said = send(head.replace(COMMON, COMMON + "Expect: 100-continue\r\n"))
    say("10 GB declared, and asked before", status(said) in (401, 413, 503), status(said))


def refused():
    own = COMMON.encode() + b"Connection: close\r\n\r\n"
    table = [
        ("no request", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", (400,)),
        ("a method with a stray sign", b"G@T / HTTP/1.1\r\n" + own, (400,)),
        ("a method that nobody knows", b"BREW /v1/documents HTTP/1.1\r\n" + own, (401, 405)),
        ("a tunnel", b"CONNECT a:443 HTTP/1.1\r\n" + own, (400, 404, 405, 421)),
        ("another version", b"GET / HTTP/3.0\r\n" + own, (400,)),
        ("a bare CR in a header", b"GET / HTTP/1.1\r\nX: a\rY: b\r\n" + own, (400,)),
        ("a folded header", b"GET / HTTP/1.1\r\nX: a\r\n b\r\n" + own, (400,)),
        ("NUL in a header", b"GET / HTTP/1.1\r\nX: a\0b\r\n" + own, (400,)),
        ("a line break in an address", b"GET /v1/documents/a%0d%0aX-Injected:%20b HTTP/1.1\r\n" + own, (400, 401, 404, 422)),
        ("a megabyte of header", b"GET / HTTP/1.1\r\nX: " + b"x" * (1 << 20) + b"\r\n" + own, (431,)),
        ("two hundred headers", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + own, (431,)),
        ("an address of 9 KiB", b"GET /" + b"x" * 9216 + b" HTTP/1.1\r\n" + own, (414,)),
        ("two lengths", b"POST /v1/documents HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + own + b"ab", (400,)),
        ("a length below nothing", b"POST /v1/documents HTTP/1.1\r\nContent-Length: -1\r\n" + own, (400,)),
        ("an unknown coding", b"POST /v1/documents HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + own, (400,)),
        ("no host", b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n", (400,)),
        ("two hosts", b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n" + own, (400,)),
        ("a page of another site", b"POST /v1/documents HTTP/1.1\r\nOrigin: https://evil.example\r\n" + own, (403,)),
    ]
    if not KEY:
        foreign = b"GET /v1/documents HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        table.append(("the name of another site", foreign, (421,)))
    for what, data, expected in table:
        said = send(data)
        good = status(said) in expected and b"x-injected: b" not in said.lower() and said.count(b"HTTP/1.1 ") == 1
        say(what, good, status(said))


def lengths():
    get = f"GET /health/live HTTP/1.1\r\n{COMMON}"
    said = send(f"{get}Content-Length: 3\r\n\r\nabcand more\r\n\r\n")
    # What follows is refused, or never looked at: the answer to a request whose body nobody reads ends the connection.
    answers = said.count(b"HTTP/1.1 ")
    say("a body longer than told", answers == 1 or (answers == 2 and b" 400 " in said), f"{answers} answers")
    smuggled = f"{get}Content-Length: 60\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{get}\r\n"
    said = send(smuggled)
    say("both lengths", said.count(b"HTTP/1.1 ") == 1, f"{said.count(b'HTTP/1.1 ')} answer")
    many = f"{get}\r\n" * 99 + f"{get}Connection: close\r\n\r\n"
    said = send(many)
    say("a hundred requests in one go", said.count(b"HTTP/1.1 200") == 100, f"{said.count(b'HTTP/1.1 200')} answers")


def disconnects():
    head = f"POST /v1/documents HTTP/1.1\r\n{COMMON}{BOUNDARY}Content-Length: 5000\r\n\r\n{PART}".encode()
    for number in range(500):
        connection = connect()
        connection.sendall(head[: 1 + number * len(head) // 500])
        if number % 2:
            # Reset instead of an end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    say("500 peers that go in the middle", live() is not None, "the service answers")


def deaf():
    """Asks for more than the kernel keeps, and reads nothing."""
    with connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(5)
        request, sent = f"GET /openapi.json HTTP/1.1\r\n{COMMON}\r\n".encode(), 0
        begun = time.monotonic()
        while time.monotonic() - begun < IDLE + 2 * MARGIN:
            try:
                connection.sendall(request * 100)
                sent += 100
            except TimeoutError:
                continue
            except ConnectionError:
                break
        took = time.monotonic() - begun
    say("a peer that reads nothing", took < IDLE + 2 * MARGIN, f"given up after {took:.1f} s and {sent} requests")


def idle():
    """As many idle connections as the machine allows, up to 100,000."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = min(100_000, hard - 100)
    held, slowest, missed, most = [], 0.0, 0, 0
    for number in range(wanted):
        # Addresses of loopback by turns: each has its own ports.
        source = f"127.0.1.{1 + number // 20_000}" if PLACE[0] == "127.0.0.1" else None
        try:
            held.append(connect(source, patience=20))
        except OSError as error:
            say("idle connections", False, f"no more than {number}: {error}")
            break
        if number % 1000 == 999:
            took = live()
            missed += took is None
            slowest = max(slowest, took or 0)
            most = max(most, sockets())
    for _ in range(50):
        took = live()
        missed += took is None
        slowest = max(slowest, took or 0)
    seen = f"the service held {most} sockets at most, /health/live took {slowest * 1000:.0f} ms at most, missed {missed}"
    say(f"{len(held)} idle connections", missed == 0, seen)
    for connection in held:
        connection.close()


def main():
    if live() is None:
        say("the service", False, f"nobody answers at {sys.argv[1]}")
        return
    before = sockets()
    print(f"      {before} sockets before")
    slow = [threading.Thread(target=what) for what in (slow_heads, silence, slow_body, deaf)]
    for thread in slow:
        thread.start()
    for what in (endless, huge, refused, lengths, disconnects):
        try:
            what()
        except OSError as error:
            say(what.__name__, False, repr(error))
    for thread in slow:
        thread.join()
    idle()
    # Asked before the sockets are counted: the service sees a moment later that this peer has gone.
    say("the service", alive() and live() is not None, "is there and answers" if alive() else "has died")
    deadline = time.monotonic() + 90
    while alive() and sockets() > before and time.monotonic() < deadline:
        time.sleep(0.5)
    if alive():
        after = sockets()
        say("sockets afterwards", after <= before, f"{after}, and {before} before")


if __name__ == "__main__":
    main()
    print(f"{len(failures)} failed" if failures else "all survived")
    sys.exit(1 if failures else 0)
