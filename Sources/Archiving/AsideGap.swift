import Platform
public import Repository
public import WAL

extension ClusterArchive {
    /// The name with which `put-back` brings back segments of a gap that were put aside; nil when it would bring back
    /// none, or when the server has all of them and will archive its own.
    public func putBack(_ gap: LineageGap, dataDirectory: String) throws -> String? {
        // WAL that a server archives on a timeline that was put aside goes there, too.
        if let timeline = try timelineAside(gap) {
            let subject = PutAside.Subject.timeline(timeline)
            if try !comingBack(subject, dataDirectory).isEmpty { return subject.name }
        }
        // A server keeps some gigabytes at most.
        guard gap.count > 4096 || !gap.names.allSatisfy({ $0.isWhole(in: dataDirectory, segmentSize: gap.segmentSize) })
        else { return nil }
        return try aside(gap).first { name in
            guard let subject = PutAside.Subject(name) else { return false }
            return try comingBack(subject, dataDirectory).contains { gap.contains($0.file) }
        }
    }

    /// What `put-back` would move without `--certain`.
    private func comingBack(_ subject: PutAside.Subject, _ dataDirectory: String) throws -> [AsideObject] {
        do { return try PutBack(subject, of: self, dataDirectory: dataDirectory).objects } catch is NothingToPutBack {
            return []
        } catch is PlaceTaken { return [] } catch is OtherHistory { return [] }
    }
}

extension SegmentName {
    /// Whether a server's pg_wal has a file of that name and size.
    public func isWhole(in dataDirectory: String, segmentSize: UInt32) -> Bool {
        (try? FileStatus(ifPresent: "\(dataDirectory)/pg_wal/\(self)"))?.size == Int64(segmentSize)
    }
}
