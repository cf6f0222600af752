import Glibc
import Platform
import WAL

/// What the name of a lease's object says: everything by which other processes judge it, so that a listing is enough
/// unless they conflict.
///
///     <time>-<16 hexadecimal digits>-<shared|alone>-<seconds>-<number>.json
struct LeaseName: Hashable, Sendable {
    /// The time and the digits: no other lease has both.
    let claim: String
    let isShared: Bool
    /// For how many seconds after it was stored the object holds the lease.
    let seconds: Int64
    /// Counts renewals from 1.
    let number: Int

    init(claim: String, isShared: Bool, seconds: Int64, number: Int) {
        (self.claim, self.isShared, self.seconds, self.number) = (claim, isShared, seconds, number)
    }

    init(isShared: Bool, seconds: Int64, now: Int64) {
        let random = padded(UInt64.random(in: .min ... .max), to: 16, radix: 16)
        self.init(
            claim: "\(Moment(microseconds: now).compact)-\(random)", isShared: isShared, seconds: seconds, number: 1)
    }

    init?(_ name: String) {
        guard name.hasSuffix(".json") else { return nil }
        let parts = name.dropLast(5).split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 5, ["shared", "alone"].contains(parts[2]), let seconds = Int64(parts[3]),
            (1...1_000_000).contains(seconds), let number = Int(parts[4]), number > 0
        else { return nil }
        self.init(claim: "\(parts[0])-\(parts[1])", isShared: parts[2] == "shared", seconds: seconds, number: number)
        guard description == name else { return nil }
    }

    func renewed(_ number: Int) -> LeaseName {
        LeaseName(claim: claim, isShared: isShared, seconds: seconds, number: number)
    }

    /// Six digits or more, so that a listing has the renewals of one lease in their order.
    var description: String {
        "\(claim)-\(isShared ? "shared" : "alone")-\(seconds)-\(padded(number, to: 6)).json"
    }
}

extension LockOwner {
    /// This process.
    /// - Parameter now: microseconds since 1970.
    static func current(now: Int64) -> LockOwner {
        let words = commandLineWords().prefix(2)
        let purpose = words.enumerated().map { $0 == 0 ? Files.name($1) : $1 }.joined(separator: " ")
        return LockOwner(.current, purpose: purpose, since: Moment(microseconds: now).iso8601)
    }

    /// The content of a lease's object: for people, and for a process that must find out whether its owner has ended.
    /// - Parameter expires: by the owner's clock; informative only.
    func document(expires: Int64) -> SealedDocument {
        func plain(_ text: String) -> String {
            quotedForJSON(
                String(
                    decoding: text.utf8.filter { (0x20...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }.prefix(200),
                    as: UTF8.self))
        }
        return SealedDocument(
            .lease,
            body: Array(
                """
                {
                  "boot" : \(plain(process.boot)),
                  "expires" : \(plain(Moment(microseconds: expires).iso8601)),
                  "host" : \(plain(process.host)),
                  "namespace" : "\(process.namespace)",
                  "process" : "\(process.process)",
                  "process_started" : "\(process.started)",
                  "purpose" : \(plain(purpose)),
                  "since" : \(plain(since))
                }
                """.utf8))
    }

    /// The lean executable has no JSON decoder; the document is proven to be one that tidemark wrote, a line for each
    /// key.
    init?(_ document: SealedDocument) {
        let lines = document.bytes.split(separator: UInt8(ascii: "\n"))
        func value(_ key: String) -> String? {
            let start = Array("  \"\(key)\" : \"".utf8)
            guard let line = lines.first(where: { $0.starts(with: start) }) else { return nil }
            let value = line.dropFirst(start.count).prefix { $0 != UInt8(ascii: "\"") }
            // No value that tidemark writes there needs an escape.
            return value.contains(UInt8(ascii: "\\")) ? nil : String(decoding: value, as: UTF8.self)
        }
        guard let boot = value("boot"), let host = value("host"), let purpose = value("purpose"),
            let since = value("since"), let namespace = value("namespace").flatMap({ UInt64($0) }),
            let process = value("process").flatMap({ pid_t($0) }),
            let started = value("process_started").flatMap({ UInt64($0) })
        else { return nil }
        self.init(
            ProcessIdentity(host: host, boot: boot, namespace: namespace, process: process, started: started),
            purpose: purpose, since: since)
    }
}
