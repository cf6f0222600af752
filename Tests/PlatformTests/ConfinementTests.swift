import Glibc
import Platform
import Support
import Testing

/// An action of a program, in Python.
private struct Deed: Sendable, CustomTestStringConvertible {
    let name: String
    let script: String
    /// Whether it is allowed under confinement, in OWN.
    var isAllowed = false
    var needsLandlock = false
    var testDescription: String { name }
}

private let deeds = [
    Deed(name: "write in its own directory", script: "open('OWN/file', 'w').write('x')", isAllowed: true),
    Deed(name: "read elsewhere", script: "open('OTHER/file').read()", isAllowed: true),
    Deed(name: "write elsewhere", script: "open('OTHER/file', 'w').write('x')", needsLandlock: true),
    Deed(
        name: "write into memory that others share",
        script: "import os; p = '/dev/shm/tidemark-%d' % os.getpid(); open(p, 'w').close(); os.remove(p)",
        needsLandlock: true),
    Deed(
        name: "a stream of this host, to be connected to",
        script: "s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); s.bind('OWN/socket'); s.listen()",
        isAllowed: true),
    Deed(
        name: "a pair of streams",
        script: "a, b = socket.socketpair(); a.send(b'x'); assert b.recv(1) == b'x'", isAllowed: true),
    Deed(
        name: "connect to a stream of this host",
        script: """
            l = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); l.bind('OWN/socket'); l.listen()
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM); s.connect('OWN/socket')
            """),
    Deed(
        name: "send a datagram to this host",
        script: """
            l = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); l.bind('OWN/socket')
            s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); s.sendto(b'x', 'OWN/socket')
            """),
    Deed(
        name: "send a datagram over the network",
        script: "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('127.0.0.1', 9))"),
    Deed(
        name: "be connected by what it sends first",
        script: """
            l = socket.socket(); l.bind(('127.0.0.1', 0)); l.listen()
            s = socket.socket(); s.sendto(b'x', socket.MSG_FASTOPEN, l.getsockname())
            """),
    Deed(
        name: "look into another process",
        script: """
            import ctypes, os, time
            child = os.fork()
            if child == 0: time.sleep(600)
            failed = ctypes.CDLL(None).ptrace(16, child, 0, 0)
            os.kill(child, 9)
            assert failed == 0
            """),
]

@Suite struct ConfinementTests {
    @Test(arguments: deeds) fileprivate func `a confined program works in its own directories`(_ deed: Deed) throws {
        try #require(Confinement.refusesConnections, "this kernel has no seccomp")
        let (own, other) = (try Scratch(), try Scratch())
        try createDurably(other.file("file"), bytes: [1], mode: 0o666)
        let places = deed.script.replacing("OWN", with: own.path).replacing("OTHER", with: other.path)
        let script = "import socket\n" + places
        let confined = try Confinement(to: [own.path]).run("/usr/bin/python3", ["-c", script])
        if deed.isAllowed || deed.needsLandlock && !Confinement.isPossible {
            #expect(confined.ending == .exited(0), "\(confined)")
        } else {
            #expect(confined.ending == .exited(1), "\(confined)")
            _ = unlink(own.file("socket"))
            let free = try run("/usr/bin/python3", ["-c", script])
            #expect(free.ending == .exited(0), "where nothing is refused: \(free)")
        }
    }
}
