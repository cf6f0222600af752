import Platform
import Repository
import WAL

/// A note for later calls: which files a call stored before PostgreSQL asked for them.
///
/// It only saves work: without it a call reads its file and compares digests. It may be lost, and is believed only
/// about a file whose inode, size and times have not changed since before the call that stored it.
struct AheadRecord {
    let path: String

    /// Replaces the note; it isn't durable, and a failure to write it is ignored.
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

    /// The kernel's time stamps are coarse: a file changed within the tick in which it was read would look unchanged.
    private func isSettled(_ status: FileStatus, before moment: Int64) -> Bool { status.changed < moment - 1_000_000 }
}
