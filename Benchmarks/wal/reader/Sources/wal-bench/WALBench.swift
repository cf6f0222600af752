import Catalog
import Glibc
import Planning
import Platform
import Recovery
import Repository
import WAL

/// wal-bench scan FILE… | generate TEMPLATE REPOSITORY COUNT | rebuild REPOSITORY STATE | million TEMPLATE STATE COUNT
///
/// Prints `figure NAME VALUE UNIT [goal GOAL]` lines.
@main enum WALBench {
    static func main() {
        do {
            let words = Array(CommandLine.arguments.dropFirst())
            switch (words.first, words.count) {
            case ("scan", 2...): try scan(Array(words.dropFirst()))
            case ("generate", 4): try generate(words[1], words[2], count: Int(words[3]) ?? 0)
            case ("rebuild", 3): try rebuild(words[1], words[2])
            case ("million", 4): try million(words[1], words[2], count: Int(words[3]) ?? 0)
            default:
                print("usage: wal-bench scan|generate|rebuild|million …")
                exit(2)
            }
        } catch {
            print("wal-bench: \(error)")
            exit(1)
        }
    }

    static func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = Clock.monotonic
        try body()
        return Double(Clock.monotonic - start) / 1e9
    }

    static func figure(_ name: String, _ value: Double, _ unit: String, goal: String? = nil) {
        let hundredths = Int((value * 100).rounded())
        let digits = "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100)"
        print("figure \(name) \(digits) \(unit)" + (goal.map { " goal \($0)" } ?? ""))
    }

    static var peakMegabytes: Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return Double(usage.ru_maxrss) / 1024
    }

    static func read(_ path: String) throws -> SegmentSummary {
        let bytes = try Files.read(path, limit: 1 << 30)
        var scanner = SegmentScanner(name: nil, length: UInt64(bytes.count))
        try scanner.feed(bytes.span.bytes)
        return try scanner.finish()
    }

    // MARK: The reader

    /// Reads each file from the page cache in windows of 128 KiB, as a push does; the best of many passes.
    static func scan(_ files: [String]) throws {
        var small: (rate: Double, whole: Double, records: UInt64)?
        var fastest = 0.0
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 128 << 10, alignment: 4096)
        defer { window.deallocate() }
        for path in files {
            // The reader is bytes in, facts out; getting the bytes out of the page cache is told apart.
            var best = Double.infinity
            var bestWithReading = Double.infinity
            var summary: SegmentSummary?
            for _ in 0..<40 {
                let file = try Descriptor(open: path, O_RDONLY)
                let length = try file.status(path: path).size
                var pass: UInt64 = 0
                let whole = try seconds {
                    var scanner = SegmentScanner(name: nil, length: UInt64(length))
                    while true {
                        let count = try file.read(into: window, path: path)
                        let start = Clock.monotonic
                        defer { pass += Clock.monotonic - start }
                        if count == 0 { break }
                        try scanner.feed(RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: window[..<count])))
                    }
                    let start = Clock.monotonic
                    summary = try scanner.finish()
                    pass += Clock.monotonic - start
                }
                (best, bestWithReading) = (min(best, Double(pass) / 1e9), min(bestWithReading, whole))
            }
            guard let summary else { continue }
            let rate = Double(summary.segmentSize) / best / 1e9
            let records = summary.facts.records
            print(
                "\(Files.name(path)): \(records) records, \(Int(best * 1e6)) µs, "
                    + "\(summary.encode().count) bytes of summary, \(Int(best * 1e9) / Int(max(1, records))) ns a record"
            )
            if records > small?.records ?? 0 {
                small = (rate, Double(summary.segmentSize) / bestWithReading / 1e9, records)
            }
            fastest = max(fastest, rate)
        }
        guard let small else { return }
        figure("wal-scan-small-records", small.rate, "GB/s", goal: ">=2")
        figure("wal-read-and-scan-small-records", small.whole, "GB/s")
        figure("wal-scan-large-records", fastest, "GB/s")
    }

    // MARK: The catalog

    /// A repository on disk with heads only: what a rebuild reads.
    static func generate(_ template: String, _ repository: String, count: Int) throws {
        let series = Series(try read(template))
        let store = DirectoryStore(repository)
        try Files.makeDirectories(repository)
        try store.create(
            series.incarnation.marker,
            SealedDocument(
                .incarnation,
                body: Array("{\n  \"system_identifier\" : \"\(series.incarnation.systemIdentifier)\"\n}".utf8)))
        for index in 0..<count {
            let path = store.path(series.incarnation.segment(series.name(index)))
            if index == 0 || series.name(index).place == 0 { try Files.makeDirectories(Files.parent(path)) }
            // Not through createDurably: a hundred thousand fsyncs are not what is measured.
            let file = try Descriptor(open: path, O_WRONLY | O_CREAT | O_TRUNC)
            try series.head(index).withUnsafeBytes { try file.write($0, path: path) }
        }
    }

    static func catalog(in state: String, of archive: ClusterArchive) throws -> Catalog {
        try Files.makeDirectories(state)
        return try Catalog(at: state + "/catalog", archive: archive, note: { print($0) })
    }

    static func rebuild(_ repository: String, _ state: String) throws {
        let store = DirectoryStore(repository)
        guard let incarnation = try Repository(store).incarnations(of: "main").first else {
            throw Problem("nothing generated")
        }
        let catalog = try Self.catalog(in: state, of: ClusterArchive(incarnation, in: store))
        var read = 0
        let took = try seconds { read = try catalog.synchronize(jobs: 2).read }
        guard read >= 1000 else { throw Problem("only \(read) segments were generated") }
        figure("catalog-rebuild-100000", took * 100_000 / Double(max(1, read)), "s", goal: "<60")
        figure("catalog-rebuild-memory", peakMegabytes, "MB", goal: "<200")
        figure("catalog-rebuild-size", Double(try FileStatus(of: catalog.path).size) / 1e6, "MB")
        // Nothing new: what every command pays before it asks.
        let again = try seconds { _ = try catalog.synchronize(jobs: 2) }
        figure("catalog-sync-nothing-new-100000", again * 1000, "ms")
    }

    /// A million segments that exist nowhere: the store makes their heads up. Then what planning asks of the catalog.
    static func million(_ template: String, _ state: String, count: Int) throws {
        let store = GeneratedStore(Series(try read(template)), count: count)
        let catalog = try Self.catalog(in: state, of: store.archive)
        let took = try seconds { _ = try catalog.synchronize(jobs: 2) }
        figure("catalog-sync-\(count)", took, "s")
        var worst = 0.0
        for part in 1..<10 {
            let target = store.series.time(count / 10 * part)
            let first = UInt64(store.series.first)
            let opened = try Self.catalog(in: state, of: store.archive)
            let time = try seconds {
                // The set of segments, the histories, the WAL from the oldest backup on, the segment with the target
                // and what surrounds it.
                let set = try opened.segments()
                let path = Lineage(TimelineHistory(TimelineID(1)), segmentSize: set.segmentSize)
                guard let log = path.continuous(from: first, in: set).first,
                    try opened.notable(of: log.timeline, log.numbers).count <= 1,
                    let stop = try opened.firstEnding(after: target, orAt: false, of: log.timeline, log.numbers),
                    try opened.segment(stop) != nil,
                    try opened.nearestWithCommits(
                        of: log.timeline, first...stop.number(segmentSize: set.segmentSize), fromEnd: true) != nil
                else { throw Problem("the target was not found") }
            }
            worst = max(worst, time)
        }
        figure("plan-queries-\(count)", worst * 1000, "ms", goal: "<50")
        try wholePlans(store, state, count: count)
        let span = BackupSpan(
            label: "b", timeline: TimelineID(1), start: store.series.start(0), stop: store.series.start(1),
            startTime: store.series.time(0), stopTime: store.series.time(1))
        figure("window-\(count)", try seconds { _ = try catalog.windows(of: [span]) } * 1000, "ms")
        figure("segments-\(count)", try seconds { _ = try catalog.report(backups: [span]) } * 1000, "ms")
    }

    /// Whole plans: the queries, the segment with the target unpacked and read record by record, and the decision.
    static func wholePlans(_ store: GeneratedStore, _ state: String, count: Int) throws {
        let series = store.series
        let backup = RestorableBackup(
            label: "b", timeline: TimelineID(1), start: series.start(0) + 40, stop: series.start(1),
            startTime: series.time(0), stopTime: series.time(1), size: 1 << 30)
        var worst = 0.0
        for part in 1..<10 {
            let index = count / 10 * part
            try store.make(index, scratch: state + "/made")
            let target = Moment(microseconds: series.time(index).microseconds + 500_000)
            let time = try seconds {
                let catalog = try Self.catalog(in: state, of: store.archive)
                let archive = ArchivePlanSource(
                    archive: store.archive, segmentSize: series.template.segmentSize, backups: [backup], jobs: 1)
                let plan = try plan(
                    PlanRequest(RecoveryTarget(.time(target))), from: CatalogPlanSource(catalog, archive))
                guard plan.lastIncluded.map({ $0.time <= target && $0.time > series.time(index) }) == true else {
                    let last = plan.lastIncluded.map { "\($0.time)" } ?? "nothing"
                    throw Problem("the plan for \(target) stops after \(last)")
                }
            }
            worst = max(worst, time)
        }
        figure("plan-\(count)", worst * 1000, "ms", goal: "<50")
    }
}
