import Testing
import WAL

/// The reader against pg_waldump, record by record, on the fixture chains.
@Suite struct FixtureChainTests {
    @Test(arguments: FixtureChain.all)
    func `every record is the one pg_waldump lists`(_ chain: FixtureChain) throws {
        let expected = try chain.expected()
        let segments = try expected.files.map { ($0, try chain.segment($0)) }
        let lines = try chain.recordLines()
        let records = try walk(segments, blocks: true)
        #expect(records.count == expected.records)
        #expect(lines.count == records.count)
        for (record, line) in zip(records, lines) {
            let found = listed(record)
            try #require(found == line)
        }
    }

    /// A record as a line of `<chain>.records.tsv`.
    private func listed(_ record: WALRecord) -> String {
        let header = record.header
        var fields = [
            "\(header.lsn)", "\(header.previous)", "\(header.manager)", "\(header.length - record.imageBytes)",
            "\(header.length)", "\(header.xid)",
        ]
        for block in record.blocks {
            let image = block.image == .none ? "" : block.image == .restored ? ":F" : ":V"
            fields.append("\(block.id):\(block.file):\(block.fork.rawValue):\(block.block)\(image)")
        }
        return fields.joined(separator: "\t")
    }

    @Test(arguments: FixtureChain.all)
    func `the records hold what pg_waldump shows`(_ chain: FixtureChain) throws {
        let expected = try chain.expected()
        let records = try walk(expected.files.map { ($0, try chain.segment($0)) })
        func pick<Value>(_ choose: (WALRecord) -> Value?) -> [Value] {
            records.compactMap(choose)
        }

        let commits = pick { if case .commit(let end) = $0.kind { (record: $0, end: end) } else { nil } }
        let aborts = pick { if case .abort(let end) = $0.kind { (record: $0, end: end) } else { nil } }
        for (found, wanted) in [(commits, expected.commits), (aborts, expected.aborts)] {
            #expect(
                found.map { "\($0.end.xid) \(digits($0.end.time)) \($0.record.lsn)" }
                    == wanted.map { "\($0.xid) \(digits($0.time)) \($0.lsn)" })
            #expect(found.map { $0.end.isPrepared } == wanted.map { $0.prepared ?? false })
            #expect(found.map { $0.end.removedFiles.map(\.description) } == wanted.map { $0.dropped ?? [] })
            #expect(found.map { $0.end.subtransactions.count } == wanted.map { $0.nsubxacts ?? 0 })
        }
        let removals = records.compactMap { record -> (LSN, TransactionEnd)? in
            switch record.kind {
            case .commit(let end), .abort(let end): end.removedFiles.isEmpty ? nil : (record.lsn, end)
            default: nil
            }
        }
        #expect(removals.map { "\($0.0)" } == expected.drops.map(\.lsn))
        #expect(removals.map { $0.1.removedFiles.map(\.description) } == expected.drops.map(\.rels))
        #expect(
            removals.map { $0.1.droppedStatistics.map { [UInt64($0.kind), UInt64($0.database), $0.object] } }
                == expected.drops.map { $0.stats ?? [] })

        let prepares = pick { if case .prepare(let prepare) = $0.kind { (record: $0, prepare: prepare) } else { nil } }
        #expect(prepares.map { "\($0.record.lsn)" } == expected.prepares.map(\.lsn))
        for (found, wanted) in zip(prepares, expected.prepares) {
            if let name = wanted.gid { #expect(found.prepare.globalIdentifier == name) }
            if let time = wanted.time { #expect(digits(found.prepare.time) == digits(time)) }
            #expect(found.prepare.xid == wanted.xid)
        }
        let points = pick { if case .restorePoint(let point) = $0.kind { point } else { nil } }
        #expect(points.map { "\($0.lsn) \($0.name)" } == expected.restorePoints.map { "\($0.lsn) \($0.name)" })
        let checkpoints = pick { if case .checkpoint(let checkpoint) = $0.kind { checkpoint } else { nil } }
        #expect(
            checkpoints.map { "\($0.lsn) \($0.redo) \($0.timeline) \($0.isShutdown)" }
                == expected.checkpoints.map { "\($0.lsn) \($0.redo) \($0.tli) \($0.shutdown)" })
        let backups = pick { if case .backupEnd(let end) = $0.kind { end } else { nil } }
        #expect(backups.map { "\($0.lsn) \($0.start)" } == expected.backupEnds.map { "\($0.lsn) \($0.start)" })
        #expect(pick { $0.kind == .switchSegment ? "\($0.lsn)" : nil } == expected.switches)
        let truncations = pick { if case .storageTruncate(let cut) = $0.kind { cut } else { nil } }
        #expect(
            truncations.map { "\($0.lsn) \($0.file) \($0.blocks)" }
                == expected.smgrTruncates.map { "\($0.lsn) \($0.rel) \($0.toBlock)" })
        #expect(pick { if case .storageCreate = $0.kind { $0 } else { nil } }.count == expected.smgrCreates)
        #expect(
            pick { if case .databaseCreate = $0.kind { "\($0.lsn)" } else { nil } } == expected.dbCreates.map(\.lsn))
        #expect(pick { if case .databaseDrop = $0.kind { "\($0.lsn)" } else { nil } } == expected.dbDrops.map(\.lsn))
        #expect(
            pick { if case .relationMapUpdate = $0.kind { "\($0.lsn)" } else { nil } }
                == expected.relmapUpdates.map(\.lsn))
        #expect(
            pick {
                if case .tablespaceCreate(let oid, let path) = $0.kind {
                    "\($0.lsn) CREATE \(oid) \"\(path)\""
                } else {
                    nil
                }
            } == expected.tablespaces.map { "\($0.lsn) \($0.desc)" })
        let switches = pick { if case .endOfRecovery(let change) = $0.kind { change } else { nil } }
        #expect(
            switches.map { "\($0.lsn) \($0.timeline) \($0.previous) \(digits($0.time))" }
                == expected.timelineSwitches.map { "\($0.lsn) \($0.tli) \($0.prevTli) \(digits($0.time))" })
        let changes = pick { if case .parameterChange(let change) = $0.kind { change } else { nil } }
        #expect(changes.map { "\($0.lsn) \(listed($0))" } == expected.parameterChanges.map { "\($0.lsn) \($0.desc)" })
        #expect(
            pick { if case .overwrittenContinuation = $0.kind { "\($0.lsn)" } else { nil } }
                == expected.overwriteContrecords.map(\.lsn))
        let heapTruncations = pick { if case .heapTruncate(let cut) = $0.kind { cut } else { nil } }
        #expect(
            heapTruncations.map {
                "\($0.lsn) TRUNCATE flags: [], nrelids: \($0.relations.count), relids: \($0.relations)"
            }
                == expected.heapTruncates.map { "\($0.lsn) \($0.desc)" })
    }

    private func listed(_ change: ParameterChange) -> String {
        "PARAMETER_CHANGE max_connections=\(change.maxConnections) max_worker_processes=\(change.maxWorkerProcesses) "
            + "max_wal_senders=\(change.maxWALSenders) max_prepared_xacts=\(change.maxPreparedTransactions) "
            + "max_locks_per_xact=\(change.maxLocksPerTransaction) "
            + "wal_level=\(["minimal", "replica", "logical"][Int(change.walLevel)]) "
            + "wal_log_hints=\(change.walLogHints ? "on" : "off") "
            + "track_commit_timestamp=\(change.trackCommitTimestamp ? "on" : "off")"
    }

    /// Scanning each segment alone and joining the summaries gives the same as the walk over all of them.
    @Test(arguments: FixtureChain.all)
    func `summaries of the segments join to the whole chain`(_ chain: FixtureChain) throws {
        let expected = try chain.expected()
        var continuity = Continuity()
        var facts: [SegmentFacts] = []
        var boundaries: [BoundaryRecord] = []
        for file in expected.files {
            let bytes = try chain.segment(file)
            let summary = try scan(bytes, file)
            // The window's size makes no difference, and neither does storing the summary.
            if facts.isEmpty {
                let again = try scan(bytes, file, window: 8192)
                #expect(again == summary)
            }
            let stored = try SegmentSummary(decoding: summary.encode())
            try #require(stored == summary)
            switch continuity.add(stored) {
            case .open: #expect(facts.isEmpty)
            case .joined(let boundary):
                if let boundary {
                    boundaries.append(boundary)
                    if let known = boundary.facts { facts.append(known) }
                }
            case .broken(let link): Issue.record("\(file): \(link)")
            }
            facts.append(summary.facts)
        }
        // Records with too many bytes to be kept have no facts.
        let tooLong = boundaries.filter { $0.facts == nil }.count
        #expect(facts.reduce(0) { $0 + Int($1.records) } + tooLong == expected.records)
        #expect(facts.reduce(0) { $0 + Int($1.commits) } == expected.commits.count)
        #expect(facts.reduce(0) { $0 + Int($1.aborts) } == expected.aborts.count)
        #expect(facts.reduce(0) { $0 + Int($1.prepares) } == expected.prepares.count)
        #expect(facts.flatMap(\.restorePoints).map(\.name) == expected.restorePoints.map(\.name))
        #expect(facts.flatMap(\.removals).map { "\($0.transaction.lsn)" } == expected.drops.map(\.lsn))
        #expect(facts.flatMap(\.checkpoints).map { "\($0.lsn)" } == expected.checkpoints.map(\.lsn))
        #expect(facts.flatMap(\.backupEnds).map { "\($0.start)" } == expected.backupEnds.map(\.start))
        #expect(facts.flatMap(\.timelineSwitches).map { "\($0.lsn)" } == expected.timelineSwitches.map(\.lsn))
        #expect(facts.flatMap(\.databaseDrops).map { "\($0.lsn)" } == expected.dbDrops.map(\.lsn))
        #expect(facts.compactMap(\.firstCommit).first.map { "\($0.lsn)" } == expected.commits.first?.lsn)
        #expect(facts.compactMap(\.lastCommit).last.map { "\($0.lsn)" } == expected.commits.last?.lsn)
        #expect(
            facts.compactMap(\.latestCommit).map { digits($0.time) }.max()
                == expected.commits.map { digits($0.time) }.max())
    }

    @Test func `the edge chain has split headers, records over three segments and straddling switches`() throws {
        let expected = try FixtureChain.edges.expected()
        let summaries = try expected.files.map { try scan(FixtureChain.edges.segment($0), $0) }
        let tails = summaries.compactMap { $0.tail?.length }
        #expect(tails.contains(8) && tails.contains(16))
        #expect(summaries.filter { $0.head.map { $0.length < $0.missing } ?? false }.count > 0)
        #expect(summaries.filter { $0.needsStraddlingSwitch }.count == 2)
        // Without its predecessor such a segment can't be judged.
        let straddled = summaries.firstIndex { $0.needsStraddlingSwitch }
        let place = try #require(straddled)
        var other = summaries[place - 1]
        other.tail = nil
        #expect(
            Continuity.join(other, summaries[place])
                == .broken(BrokenLink(.unexpectedContinuation, segment: summaries[place].start)))
    }
}

/// A time without its punctuation: 20261120081234742968.
func digits(_ time: String) -> String {
    var digits = time.filter(\.isNumber)
    while digits.count < 20 { digits += "0" }
    return digits
}
func digits(_ time: Moment) -> String { digits(time.iso8601) }
