"""A web server on the loopback that is helpful, slow, failing or lying, by the path that is asked for.

Usage: http_server.py LOG PORTFILE [CERTIFICATE KEY]. Each request becomes a line of JSON in LOG.
"""
import http.server
import json
import os
import ssl
import sys
import threading
import time

log_path, port_path = sys.argv[1:3]
lock = threading.Lock()
seen = {}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"ok", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    stored = {}

    def do_PUT(self):
        left, body = int(self.headers.get("Content-Length", "0")), []
        while left > 0:
            body.append(self.rfile.read(min(left, 1 << 16)))
            left -= len(body[-1])
        Handler.stored[self.path] = b"".join(body)
        self.answer(201, ETag=f'"{len(Handler.stored[self.path])}"')

    def do_GET(self):
        if self.path not in Handler.stored:
            return self.answer(404, b"there is no such object")
        self.answer(200, Handler.stored[self.path], X_Stored="  yes ")

    def do_HEAD(self):
        self.send_response(200 if self.path in Handler.stored else 404)
        self.send_header("Content-Length", str(len(Handler.stored.get(self.path, b""))))
        self.end_headers()

    def do_DELETE(self):
        known = Handler.stored.pop(self.path, None)
        self.send_response(404 if known is None else 204)
        if known is None:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        with lock:
            count = seen[self.path] = seen.get(self.path, 0) + 1
            with open(log_path, "a") as log:
                log.write(json.dumps({
                    "method": self.command, "path": self.path, "headers": dict(self.headers.items()),
                    "body": body.decode("utf-8", "replace"), "time": time.time(),
                }) + "\n")
        what = self.path.split("?")[0].split("/")[1]
        if what == "ok":
            self.answer(200)
        elif what == "flaky":
            self.answer(503 if count <= 2 else 200)
        elif what == "busy":
            self.answer(429, Retry_After="1") if count == 1 else self.answer(200)
        elif what == "patient":
            self.answer(429, Retry_After="9000000000000000000")
        elif what == "gone":
            self.answer(410, b"no such channel")
        elif what == "failing":
            self.answer(500)
        elif what == "redirect":
            self.answer(302, Location="/ok")
        elif what == "slow":
            time.sleep(600)
        elif what == "drop":
            self.connection.close()
            self.close_connection = True
        elif what == "garbage":
            self.wfile.write(b"\x00\xff this is no answer at all\r\n\r\n")
            self.close_connection = True
        elif what == "short":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nok")
            self.close_connection = True
        elif what == "drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(6000):
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(0.1)
        elif what == "huge":
            self.answer(200, b"x" * (8 << 20))


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) > 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = context.wrap_socket(server.socket, server_side=True)
server.handle_error = lambda *arguments: None
with open(port_path + ".new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename(port_path + ".new", port_path)
server.serve_forever()
