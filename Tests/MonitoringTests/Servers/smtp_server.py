"""A mail server on the loopback that is helpful, failing or lying.

Usage: smtp_server.py LOG PORTFILE MODE CERTIFICATE KEY
MODE is a comma-separated list: tls (from the first byte), nostarttls, auth (wants postmaster / "pass word"),
refuse (recipients), full (message refused after DATA), busy (first transaction gets 451), vanish (closes after DATA),
silent (never greets), badtls (answers STARTTLS with garbage).
Each message that is taken becomes a line of JSON in LOG.
"""
import base64
import json
import os
import socket
import ssl
import sys
import threading
import time

log_path, port_path, mode, certificate, key = sys.argv[1:6]
modes = set(mode.split(","))
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(certificate, key)
transactions = [0]
lock = threading.Lock()


def serve(connection):
    encrypted = "tls" in modes
    if encrypted:
        connection = context.wrap_socket(connection, server_side=True)
    if "silent" in modes:
        time.sleep(600)
        return
    stream = connection.makefile("rb")

    def say(text):
        connection.sendall(text.encode() + b"\r\n")

    user, sender, recipients = None, None, []
    say("220 mail.test ready")
    while True:
        line = stream.readline().decode("utf-8", "replace").rstrip("\r\n")
        if not line:
            return
        word = line.split(" ")[0].upper()
        if word == "EHLO":
            lines = ["mail.test"]
            if not encrypted and "nostarttls" not in modes:
                lines.append("STARTTLS")
            if "auth" in modes and encrypted:
                lines.append("AUTH PLAIN LOGIN")
            lines.append("8BITMIME")
            for number, text in enumerate(lines):
                say("250" + (" " if number == len(lines) - 1 else "-") + text)
        elif word == "HELO":
            say("250 mail.test")
        elif word == "STARTTLS":
            say("220 go ahead")
            if "badtls" in modes:
                connection.sendall(b"this is not a handshake, and never will be\r\n" * 10)
                time.sleep(0.2)
                return
            connection = context.wrap_socket(connection, server_side=True)
            stream = connection.makefile("rb")
            encrypted = True
        elif word == "AUTH":
            parts = line.split(" ")
            if parts[1].upper() == "PLAIN":
                if len(parts) == 2:
                    say("334 ")
                    parts.append(stream.readline().decode().strip())
                _, name, password = base64.b64decode(parts[2]).decode().split("\0")
            else:
                say("334 VXNlcm5hbWU6")
                name = base64.b64decode(stream.readline()).decode()
                say("334 UGFzc3dvcmQ6")
                password = base64.b64decode(stream.readline()).decode()
            if (name, password) == ("postmaster", "pass word"):
                user = name
                say("235 welcome")
            else:
                say("535 no such user or wrong password")
        elif word == "MAIL":
            if "auth" in modes and user is None:
                say("530 authentication required")
                continue
            with lock:
                transactions[0] += 1
                busy = "busy" in modes and transactions[0] == 1
            if busy:
                say("451 try again later")
                continue
            sender, recipients = line[10:], []
            say("250 ok")
        elif word == "RCPT":
            if "refuse" in modes:
                say("550 no such mailbox")
            else:
                recipients.append(line[8:])
                say("250 ok")
        elif word == "DATA":
            say("354 go on")
            data = b""
            while True:
                part = stream.readline()
                if part == b".\r\n" or not part:
                    break
                data += part[1:] if part.startswith(b".") else part
            if "vanish" in modes:
                connection.close()
                return
            if "full" in modes:
                say("552 mailbox full")
                continue
            with lock, open(log_path, "a") as log:
                log.write(json.dumps({
                    "from": sender, "to": recipients, "user": user, "encrypted": encrypted,
                    "data": data.decode("utf-8", "replace"),
                }) + "\n")
            say("250 taken")
        elif word == "QUIT":
            say("221 bye")
            return
        else:
            say("250 ok")


def serve_quietly(connection):
    try:
        serve(connection)
    except (OSError, ssl.SSLError):
        pass
    finally:
        connection.close()


listener = socket.create_server(("127.0.0.1", 0))
with open(port_path + ".new", "w") as file:
    file.write(str(listener.getsockname()[1]))
os.rename(port_path + ".new", port_path)
while True:
    connection, _ = listener.accept()
    threading.Thread(target=serve_quietly, args=(connection,), daemon=True).start()
