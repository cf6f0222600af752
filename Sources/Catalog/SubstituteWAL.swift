import Platform
import Repository
import WAL

/// What a recovery reads in the place of a missing segment with which a timeline begins: the file of the timeline
/// before, as far as it was left there.
struct SubstituteWAL {
    let file: SegmentName
    /// Where the next timeline begins in it.
    let limit: LSN
    /// The end of the last record before that.
    let end: LSN
    /// The last commit before that.
    let lastCommit: TransactionMark?
}

extension Catalog {
    /// Nil when there is no such file, or its records can't be read up to there.
    func substitute(for number: UInt64, on lineage: Lineage, _ archived: SegmentSet) throws -> SubstituteWAL? {
        guard let (file, next) = lineage.substitutes(for: number).last(where: { archived.contains($0.name) }),
            !archived.contains(lineage.file(number))
        else { return nil }
        var (end, lastCommit): (LSN?, TransactionMark?) = (nil, nil)
        do {
            let stored = try archive.stored(file)
            var decompressor = try Decompressor()
            var walk = RecordWalk()
            walk.begin(file, length: stored.head.rawLength, contents: stored.contents)
            try stored.extract(with: &decompressor) { bytes in
                try walk.feed(RawSpan(_unsafeBytes: bytes)) { record in
                    guard record.end <= next.begin else { return .stop }
                    end = record.end
                    if case .commit(let its) = record.kind {
                        lastCommit = TransactionMark(lsn: record.lsn, end: record.end, time: its.time, xid: its.xid)
                    }
                    return .more
                }
            }
        } catch let error as any Explained where error.concernsOneObject || error is WALDamage { return nil }
        return end.map { SubstituteWAL(file: file, limit: next.begin, end: $0, lastCommit: lastCommit) }
    }
}
