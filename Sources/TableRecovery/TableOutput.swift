import Planning
import Platform
import Postgres
import Recovery

extension TableRecoveryRun {
    /// Brings the tables of a scratch cluster, as they were at the target, to where they are wanted.
    func takeOut(
        _ catalog: TargetCatalog, _ connection: Connection, _ scratch: ScratchCluster, user: String
    ) throws {
        for text in catalog.notes where !result.notes.contains(text) { note(text) }
        if request.destinations.contains(.replacement), let view = catalog.tables.first(where: { $0.kind == "m" }) {
            throw TableRefusal.notReplaceable(view.name)
        }
        result.leftOut = []
        result.tables = catalog.tables.filter { !$0.isPartitioned }.map { .init(name: $0.name) }
        let programs = DumpPrograms(
            binDirectory: request.binDirectory, majorVersion: request.plan.majorVersion, conninfo: scratch.conninfo,
            database: request.database, user: user, isUnencoded: try SessionSettings.isUnencoded(connection))
        // Files first: what follows changes names.
        for case .file(let path, let format) in request.destinations where !result.files.contains(path) {
            try report(.takingOut(table: path))
            _ = try? removeStaleTemporaries(in: Files.parent(path), of: Files.name(path))
            try createDurably(path) { _, temporary in
                try programs.dumpContent(catalog.tables.map(\.name), format: format, to: temporary)
            }
            LastStep.run("File \"\(path)\" is written.") {}
            result.files.append(path)
        }
        guard request.needsLiveServer else { return }
        let live = try Connection.live(request)
        try SessionSettings.apply(to: live, connection)
        for destination in request.destinations {
            switch destination {
            case .file: continue
            case .comparison, .missingRows:
                result.tables = try CompareTables(catalog, scratch: connection, live: live) { [report] in
                    try report(.takingOut(table: $0))
                }.run(insert: destination == .missingRows, note: note)
            case .tables(let name):
                let copy = TableCopy(request, catalog, scratch: connection, live: live, programs: programs)
                absorb(
                    try copy.make(named: name, directory: scratch.directory.path) { [report] in
                        try report(.takingOut(table: $0))
                    })
            case .replacement:
                let copy = TableCopy(request, catalog, scratch: connection, live: live, programs: programs)
                absorb(
                    try copy.replace(directory: scratch.directory.path) { [report] in
                        try report(.takingOut(table: $0))
                    })
            }
        }
    }

    private func absorb(_ copied: TableCopy.Result) {
        for table in copied.tables {
            guard let index = result.tables.firstIndex(where: { $0.name == table.old }) else { continue }
            result.tables[index].rows = table.rows
            result.tables[index].destination = table.new
        }
        result.leftOut = copied.leftOut
        for text in copied.notes { note(text) }
    }
}
