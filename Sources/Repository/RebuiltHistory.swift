public import WAL

extension ClusterArchive {
    /// The text of a history file as the files of timelines that descend from it tell it.
    ///
    /// A server copies its parent's history file and adds one line (`writeTimeLineHistory`,
    /// src/backend/access/transam/timeline.c), so that every descendant's file begins with it. Recovery needs only the
    /// target's own file, but asks for all between the backup's timeline and the target's
    /// (`restoreTimeLineHistoryFiles`), and for one number after the other to find the newest (`findNewestTimeLine`).
    ///
    /// - Returns: nil when no descendant's file can be read, when two of them disagree, when what is left of the file
    ///   itself says that it was another one, and when the timeline was put aside.
    public func rebuiltHistory(_ timeline: TimelineID) throws -> [UInt8]? {
        var found: [UInt8]?
        for descendant in try histories() where descendant > timeline {
            guard try storedHistory(descendant) != nil, let text = try history(descendant),
                let inherited = inheritedHistory(of: timeline, in: text)
            else { continue }
            guard found == nil || found == inherited else { return nil }
            found = inherited
        }
        guard let found, try mayHaveBeen(found, timeline) else { return nil }
        return found
    }

    /// The text of every history that can be read or rebuilt.
    public func readableHistoryTexts() throws -> [TimelineID: [UInt8]] {
        var found: [TimelineID: [UInt8]] = [:]
        var named: Set<TimelineID> = []
        for timeline in try histories() {
            guard let stored = try storedHistory(timeline) else {
                named.insert(timeline)
                continue
            }
            found[timeline] = try history(timeline)
            named.formUnion(stored.ancestors.map(\.timeline))
        }
        for timeline in named where timeline > TimelineID(1) && found[timeline] == nil {
            found[timeline] = try rebuiltHistory(timeline)
        }
        return found
    }

    /// The digest in the head of a damaged file tells what it held.
    private func mayHaveBeen(_ text: [UInt8], _ timeline: TimelineID) throws -> Bool {
        do {
            let stored = try StoredSegment(incarnation.history(timeline), in: store)
            return stored.head.digest == Digest(of: text) && stored.head.rawLength == UInt64(text.count)
        } catch is ObjectDamaged { return true } catch is ObjectAbsent {
            let name = ArchiveFileName.history(timeline).description
            return try !asideFolders().contains { $0.subject == name }
        }
    }
}

/// What a history file holds of the file of an ancestor: all before the line with which that one was left.
private func inheritedHistory(of ancestor: TimelineID, in text: [UInt8]) -> [UInt8]? {
    var start = 0
    for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
        let number = String(decoding: line, as: UTF8.self).split(whereSeparator: { $0 == "\t" || $0 == " " }).first
        if number.flatMap({ UInt32($0) }) == ancestor.rawValue {
            var inherited = text[..<start]
            // The server writes a newline between its parent's file and its own line.
            if inherited.suffix(2).elementsEqual([UInt8(ascii: "\n"), UInt8(ascii: "\n")]) { inherited.removeLast() }
            let whole = Array(inherited)
            let history = try? TimelineHistory(timeline: ancestor, file: String(decoding: whole, as: UTF8.self))
            return history?.ancestors.isEmpty == false ? whole : nil
        }
        start += line.count + 1
    }
    return nil
}
