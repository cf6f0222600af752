import Repository
import SQLite
import WAL

extension Catalog {
    /// - Returns: the timelines whose histories are new, others than they were, or gone, and where these say or said that
    ///   the timeline begins.
    func synchronizeHistories() throws -> [TimelineID: Set<LSN>] {
        var known: [TimelineID: String] = [:]
        let statement = try database.prepare("SELECT timeline, content FROM history")
        while try statement.step() {
            known[TimelineID(UInt32(truncatingIfNeeded: statement.integer(0)))] = statement.text(1)
        }
        let mark = try store.changeMark(of: incarnation.walFolder)
        let mayDiffer = try historiesMayDiffer()
        var present = known
        let there = try store.histories(of: incarnation)
        // A timeline may have been put aside, and another server may have taken its number.
        for timeline in Set(known.keys).subtracting(there) { present[timeline] = nil }
        // A damaged one leads nowhere, like one that is gone.
        for timeline in there where mayDiffer || known[timeline] == nil {
            present[timeline] = try readableText(timeline)
        }
        var told: [TimelineID: Set<LSN>] = [:]
        for timeline in Set(known.keys).union(present.keys) where known[timeline] != present[timeline] {
            if let text = present[timeline] {
                try database.run(
                    "INSERT OR REPLACE INTO history (timeline, content) VALUES (?, ?)", Int64(timeline.rawValue), text)
            } else {
                try database.run("DELETE FROM history WHERE timeline = ?", Int64(timeline.rawValue))
            }
            told[timeline] = Set(
                [known[timeline], present[timeline]].compactMap { text in
                    text.flatMap { try? TimelineHistory(timeline: timeline, file: $0) }?.ancestors.last?.switchPoint
                })
        }
        try setAbout("histories", mark.map(String.init) ?? "")
        return told
    }

    private func readableText(_ timeline: TimelineID) throws -> String? {
        guard try store.readableHistory(timeline, of: incarnation) != nil else { return nil }
        return try store.history(timeline, of: incarnation).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Whether the folder of the histories has changed since they were read, as far as that can be told.
    func historiesMayDiffer() throws -> Bool {
        guard let mark = try store.changeMark(of: incarnation.walFolder) else { return true }
        return try about("histories") != String(mark)
    }
}
