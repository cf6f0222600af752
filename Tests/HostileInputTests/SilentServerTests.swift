import Glibc
import Platform
import Postgres
import Support
import Testing

/// A server whose processes are stopped, or whose host is gone: connections succeed, but there is no answer.
@Suite struct SilentServerTests {
    /// Listens on a socket as PostgreSQL does.
    private final class Listener: Sendable {
        let raw: Int32
        init(in directory: String) throws {
            raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let path = directory + "/.s.PGSQL.5432"
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            let bound = withUnsafePointer(to: &address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            try #require(raw >= 0 && bound == 0 && listen(raw, 5) == 0)
        }
        deinit { close(raw) }

        /// Accepts one client, as a server of version 15.5 without a password does, and then stays silent.
        func greet() {
            let client = accept(raw, nil, nil)
            var request = [UInt8](repeating: 0, count: 4096)
            _ = read(client, &request, request.count)
            func text(_ name: String, _ value: String) -> [UInt8] {
                let body = Array(name.utf8) + [0] + Array(value.utf8) + [0]
                return [UInt8(ascii: "S"), 0, 0, 0, UInt8(body.count + 4)] + body
            }
            let answer: [UInt8] =
                [UInt8(ascii: "R"), 0, 0, 0, 8, 0, 0, 0, 0] + text("server_version", "15.5")
                + text("client_encoding", "UTF8") + [UInt8(ascii: "Z"), 0, 0, 0, 5, UInt8(ascii: "I")]
            _ = write(client, answer, answer.count)
        }
    }

    @Test(arguments: [(false, 2), (true, 2), (false, nil)] as [(Bool, Int32?)])
    func `a silent server is waited for only until the timeout`(greets: Bool, patience: Int32?) throws {
        let scratch = try Scratch()
        let listener = try Listener(in: scratch.path)
        let thread = greets ? try Worker { listener.greet() } : nil
        defer { thread?.join() }
        let start = Clock.monotonic
        let failure = #expect(throws: ConnectionFailure.self) {
            try Connection(
                "host=\(scratch.path) user=x dbname=x sslmode=disable gssencmode=disable", patience: patience)
        }
        #expect(Clock.monotonic - start < 300_000_000_000)
        let reason = failure?.reason ?? ""
        #expect(reason.contains(greets ? "does not answer within 2 seconds" : "timeout expired"), "\(reason)")
    }
}
