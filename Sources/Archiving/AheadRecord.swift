import Platform
import Repository
import WAL

/// A note for the next calls: which files the last one stored ahead of PostgreSQL's asking.
///
/// Only a shortcut. Without it a call reads its file and compares digests; so the note may be lost, and it is believed
/// only about a file whose inode, size and times the kernel has not changed since before the call that stored it.
struct AheadRecord {
    let path: String

    /// Replaces the note; it isn't durable, and nobody minds when it can't be written.
    func write(_ stored: [(member: PushBatch.Member, scanned: PushBatch.Scanned)], started: Int64) {
        var text = ""
        for (member, scanned) in stored {
            guard isSettled(scanned.status, before: started) else { continue }
            text += "\(member.segment) \(identity(scanned.status)) \(scanned.digest) \(scanned.key)\n"
        }
        guard !text.isEmpty else { return }
        try? Files.makeDirectories(Files.parent(path))
        try? Delivery.put(at: path) { append in
            var text = text
            try text.withUTF8 { try append(UnsafeRawBufferPointer($0)) }
        }
    }

    func find(_ segment: SegmentName, _ status: FileStatus) -> (RepositoryKey, Digest)? {
        guard let text = try? Files.readText(path, limit: 1 << 20) else { return nil }
        let start = "\(segment) \(identity(status)) "
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix(start) }) else { return nil }
        let rest = line.dropFirst(start.count).split(separator: " ", maxSplits: 1)
        guard rest.count == 2, let digest = Digest(String(rest[0])), let key = RepositoryKey(String(rest[1])) else {
            return nil
        }
        return (key, digest)
    }

    private func identity(_ status: FileStatus) -> String {
        "\(status.device) \(status.inode) \(status.size) \(status.modified) \(status.changed)"
    }

    /// The kernel's time stamps are coarse: a file changed within the same tick as it was read would look unchanged.
    private func isSettled(_ status: FileStatus, before moment: Int64) -> Bool { status.changed < moment - 1_000_000 }
}
