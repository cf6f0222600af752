import FoundationEssentials
import Glibc
import Platform
import Support

/// A web or mail server of Servers/ on a port of its own, ended with the object.
final class LoopbackServer: Sendable {
    let port: Int
    let scratch: Scratch
    private let process: pid_t

    /// - Parameter arguments: of the script, after log and port file.
    init(_ script: String, _ arguments: [String] = []) throws {
        // A proxy would answer in the servers' place.
        setenv("no_proxy", "*", 1)
        scratch = try Scratch()
        let path = Files.parent(#filePath) + "/Servers/" + script
        let started = try run(
            "/bin/sh",
            [
                "-c", "python3 \"$@\" >\"$0/output\" 2>&1 & echo $!", scratch.path, path, scratch.file("log"),
                scratch.file("port"),
            ] + arguments)
        guard let number = pid_t(started.output.split(separator: "\n").first ?? "") else {
            throw Problem("could not start \(script): \(started.errors)")
        }
        process = number
        var port: Int?
        let file = scratch.file("port")
        do {
            try wait(for: "\(script) to start") {
                port = (try? Files.readText(file)).flatMap { Int($0) }
                return port != nil || kill(number, 0) != 0
            }
        } catch {}
        guard let port else {
            kill(number, SIGKILL)
            throw Problem("\(script) did not start: \((try? Files.readText(scratch.file("output"))) ?? "")")
        }
        self.port = port
    }

    deinit { kill(process, SIGKILL) }

    /// The lines of the server's log.
    func log<Entry: Decodable>(_: Entry.Type) throws -> [Entry] {
        guard try Files.exists(scratch.file("log")) else { return [] }
        return try Files.readText(scratch.file("log")).split(separator: "\n").map {
            try JSONDecoder().decode(Entry.self, from: Data($0.utf8))
        }
    }
}

/// A request that the web server received.
struct SeenRequest: Decodable {
    let method: String
    let path: String
    let headers: [String: String]
    let body: String
    let time: Double
}

/// A mail that the mail server accepted.
struct SeenMail: Decodable {
    let from: String
    let to: [String]
    let user: String?
    let encrypted: Bool
    let data: String
}

/// A certificate that is only trusted if configured: for 127.0.0.1, or for another name.
struct TestCertificate {
    let certificate: String
    let key: String

    init(in scratch: Scratch, for name: String = "IP:127.0.0.1") throws {
        certificate = scratch.file("certificate.pem")
        key = scratch.file("key.pem")
        let made = try run(
            "/usr/bin/openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                "-subj", "/CN=tidemark test", "-addext", "subjectAltName=\(name)", "-keyout", key, "-out", certificate,
            ])
        guard made.ending == .exited(0) else { throw Problem(made.errors) }
    }
}
