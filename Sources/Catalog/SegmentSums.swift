import SQLite
import WAL

/// Rows that sum up many segments. They are derived from the segments' rows and committed with them.
extension Catalog {
    /// Segments in a row of the table `chunk`.
    static let chunkBits: Int64 = 10

    /// The runs of segments without gaps.
    func write(runsOf set: SegmentSet) throws {
        try database.execute("DELETE FROM run")
        let statement = try database.prepare("INSERT INTO run (timeline, first, last) VALUES (?, ?, ?)")
        for timeline in set.timelines {
            for run in set.runs(of: timeline) {
                try statement.run(
                    Int64(timeline.rawValue), Int64(bitPattern: run.lowerBound), Int64(bitPattern: run.upperBound))
            }
        }
    }

    /// The sums over the chunks in which these segments lie.
    func summarize(_ touched: [SegmentName], _ size: UInt32) throws {
        struct Place: Hashable {
            let timeline: Int64, chunk: Int64
        }
        let places = Set(
            touched.map {
                Place(
                    timeline: Int64($0.timeline.rawValue),
                    chunk: Int64($0.number(segmentSize: size)) >> Catalog.chunkBits)
            })
        let clear = try database.prepare("DELETE FROM chunk WHERE timeline = ? AND chunk = ?")
        let fill = try database.prepare(
            """
            INSERT INTO chunk
            SELECT timeline, number >> \(Catalog.chunkBits), count(*), sum(stored_bytes), sum(records), sum(commits),
                min(earliest_stop), max(latest_stop), min(lowest_xid), max(highest_xid)
            FROM segment WHERE timeline = ? AND number >= ? AND number < ? GROUP BY 1, 2
            """)
        for place in places {
            try clear.run(place.timeline, place.chunk)
            try fill.run(
                place.timeline, place.chunk << Catalog.chunkBits, (place.chunk + 1) << Catalog.chunkBits)
        }
    }
}
