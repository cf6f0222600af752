import Platform
import Repository
import Support
import Testing
import WAL

/// The segment with a switch, as a cascading standby may have it: behind the first pages an older segment's.
struct StaleRest: Sendable, CustomTestStringConvertible {
    enum Way: String, CaseIterable, Sendable {
        case push, lookAhead, `import`, before, after
    }
    let way: Way
    /// From where on it holds what it held before; nil for the page after the switch.
    let offset: Int?
    var server = TestServer.v15
    var testDescription: String { "\(way), from \(offset.map(String.init) ?? "the next page") on, \(server)" }

    static let all = TestServer.samples(
        Way.allCases.flatMap { way in [nil, 131_072].map { StaleRest(way: way, offset: $0) } },
        isShort: { $0.way == .push }, on: \.server)
}

@Suite struct BehindSwitchServerTests {
    @Test(arguments: StaleRest.all)
    func `what a standby's file holds behind a segment switch is no damage`(_ sample: StaleRest) throws {
        let archive = try Archive(
            sample.server, settings: ["archive_jobs = \(sample.way == .lookAhead ? 2 : 1)"])
        let name = try #require(archive.origin.segments.last)
        let whole = try Files.read(archive.origin.wal(name.description))
        let older = try Files.read(archive.origin.wal(archive.origin.segments[0].description))
        let end = try #require(EarlySegment.records(whole, name).map(\.start).last) + 24
        let place = max(sample.offset ?? 0, (end + 8191) / 8192 * 8192)
        let stale = Array(whole[..<place] + older[place...])
        try #require(stale != whole && place < whole.count)
        let before = try #require(name.previous(segmentSize: 1 << 20)).description
        let wal = try ServerWAL(archive)
        let previous = try wal.put(before, Files.read(archive.origin.wal(before)))
        let path = try wal.put(name.description, sample.way == .before ? whole : stale)

        switch sample.way {
        case .import: try tidemark(["import", wal.directory, "--config", archive.configuration], expectSuccess: true)
        default:
            try archive.push(previous, expectSuccess: true)
            let pushed = try archive.push(path, expectSuccess: true)
            #expect(!pushed.errors.contains("damaged"), "\(pushed.errors)")
        }
        // The primary's own comes before or after it, and is the same WAL.
        if sample.way == .before { try wal.put(name.description, stale) }
        if sample.way == .after { try wal.put(name.description, whole) }
        let again = try archive.push(path, expectSuccess: true)
        #expect(!again.errors.contains("damaged"), "\(again.errors)")

        try archive.get(name.description, to: archive.scratch.file("got"), expectSuccess: true)
        #expect(try Files.read(archive.scratch.file("got")) == (sample.way == .before ? whole : stale))
        let verified = try tidemark(["verify", "--wal", "--config", archive.configuration])
        #expect(verified.ending == .exited(0), "\(verified)")
        #expect(try archive.archived.stored(name).summary()?.ending == .switch)
    }
}
