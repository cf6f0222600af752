import Repository
import SQLite
import WAL

extension Catalog {
    /// - Returns: the timelines whose histories are new, changed, or gone, and where the timelines begin according to
    ///   the old and the new ones.
    func synchronizeHistories() throws -> [TimelineID: Set<LSN>] {
        let (known, present) = (try knownHistories(), try readableHistories())
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
        return told
    }

    /// Whether the histories in the repository differ from those in the catalog.
    func historiesDiffer() throws -> Bool { try knownHistories() != readableHistories() }

    private func knownHistories() throws -> [TimelineID: String] {
        var known: [TimelineID: String] = [:]
        let statement = try database.prepare("SELECT timeline, content FROM history")
        while try statement.step() {
            known[TimelineID(UInt32(truncatingIfNeeded: statement.integer(0)))] = statement.text(1)
        }
        return known
    }

    /// What is in the repository, or can be rebuilt from it. They are few and small, and are read each time: nothing
    /// else tells that one has been damaged in its place.
    private func readableHistories() throws -> [TimelineID: String] {
        try archive.readableHistoryTexts().mapValues { String(decoding: $0, as: UTF8.self) }
    }
}
