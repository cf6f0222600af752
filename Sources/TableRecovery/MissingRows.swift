import Platform
import Postgres

/// The rows that live tables have lost, put back.
struct MissingRows {
    private let comparisons: [TableComparison]
    private let live: Connection

    /// - Parameter comparisons: those that have been made.
    init(_ comparisons: [TableComparison], _ live: Connection) { (self.comparisons, self.live) = (comparisons, live) }

    /// Those of all tables, and nothing else, in one statement, at whose end foreign keys are checked: whatever order the
    /// tables are in, and if they refer to one another.
    /// - Returns: how many, in the comparisons' order.
    func insert() throws -> [Int64] {
        guard !comparisons.isEmpty else { return [] }
        let parts = comparisons.enumerated().flatMap { number, comparison in
            let list = comparison.common.map { quotedIdentifier($0.name) }.joined(separator: ", ")
            let into = "INSERT INTO \(comparison.root.name.sql) (\(list)) OVERRIDING SYSTEM VALUE SELECT \(list)"
            let rows = "\(comparison.temporary) r WHERE \(comparison.isMissing)"
            return ["put\(number) AS (\(into) FROM \(rows) ON CONFLICT DO NOTHING RETURNING 1)"]
        }.joined(separator: ", ")
        let counts = comparisons.indices.map { "(SELECT count(*) FROM put\($0))" }.joined(separator: ", ")
        let rows = try live.query("WITH \(parts) SELECT \(counts)")
        return rows[0].map { $0.flatMap { Int64($0) } ?? 0 }
    }
}
