import Platform
import Postgres

/// Compares recovered tables with the live ones, and inserts lost rows. All tables are handled in one transaction:
/// either all their lost rows come back, or none.
struct CompareTables {
    private let catalog: TargetCatalog
    private let scratch: Connection
    private let live: Connection
    private let progress: (String) throws -> Void

    init(
        _ catalog: TargetCatalog, scratch: Connection, live: Connection, progress: @escaping (String) throws -> Void
    ) {
        (self.catalog, self.scratch, self.live, self.progress) = (catalog, scratch, live, progress)
    }

    /// - Throws: `ChangedTables` before any row is read, if some were to be inserted.
    func run(insert: Bool, note: (String) -> Void) throws -> [TableRecoveryReport.Table] {
        try live.transaction {
            var tables: [TableRecoveryReport.Table] = []
            let comparisons = try catalog.tables.filter { !catalog.isPartition($0) }.map {
                try TableComparison(catalog, $0, scratch: scratch, live: live)
            }
            let changed = comparisons.map(\.identity).filter { !$0.differences.isEmpty }
            if insert, !changed.isEmpty { throw ChangedTables(changed) }
            for identity in changed {
                note("Compared by names nevertheless: \(identity.differences.joined(separator: " "))")
            }
            for remark in comparisons.compactMap(\.identity.remark) { note(remark) }
            for comparison in comparisons {
                let root = comparison.root
                try progress(root.name.description)
                let difference = try comparison.compare()
                tables.append(.init(name: root.name, rows: difference.recovered, difference: difference))
            }
            if insert { try putBack(comparisons, &tables) }
            let done = tables.compactMap { table in
                table.inserted.map {
                    "\(counted($0, "missing row")) of \"\(table.name)\" \($0 == 1 ? "is" : "are") inserted."
                }
            }
            return (tables, done.isEmpty ? nil : done.joined(separator: " "))
        }
    }

    private func putBack(_ comparisons: [TableComparison], _ tables: inout [TableRecoveryReport.Table]) throws {
        let triggers = try SilentTriggers(
            of: comparisons.map { (name: $0.root.name, oid: $0.oid) }, live: live, progress: progress)
        for (index, count) in try MissingRows(comparisons, live).insert().enumerated() {
            tables[index].inserted = count
        }
        try triggers.enableAgain()
    }
}
