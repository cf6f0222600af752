import Platform
public import Repository
public import WAL

extension ClusterArchive {
    /// The name under which `put-back` brings back what was put aside of a gap; nil when nothing of it was, or the server
    /// has all of it: then it archives its own.
    public func putBack(_ gap: LineageGap, dataDirectory: String) throws -> String? {
        // What a server has of a timeline that was put aside goes there, too.
        if let timeline = try timelineAside(gap) { return PutAside.Subject.timeline(timeline).name }
        guard let name = try aside(gap),
            // A server keeps some gigabytes at most.
            gap.count > 4096 || !gap.names.allSatisfy({ $0.isWhole(in: dataDirectory, segmentSize: gap.segmentSize) })
        else { return nil }
        return name
    }
}

extension SegmentName {
    /// Whether a server's pg_wal has a file of that name and size.
    public func isWhole(in dataDirectory: String, segmentSize: UInt32) -> Bool {
        (try? FileStatus(ifPresent: "\(dataDirectory)/pg_wal/\(self)"))?.size == Int64(segmentSize)
    }
}
