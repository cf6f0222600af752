import Platform
import Repository
import Support
import Testing
import WAL

/// The rule that decides which incarnation is meant.
@Suite struct IncarnationRuleTests {
    private static func incarnation(_ major: Int) -> Incarnation {
        Incarnation(cluster: "main", major: major, systemIdentifier: UInt64(major))
    }

    private static func time(_ day: Int) -> Moment { Moment(microseconds: Int64(day) * 86_400_000_000) }

    private static func repository(_ majors: some Sequence<Int>) throws -> Repository {
        let store = MemoryStore()
        for major in majors { try store.create(incarnation(major).marker, incarnation(major).sealedMarker) }
        return Repository(store)
    }

    /// The incarnation for a command.
    struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        /// By major version, the days on which backups ended; nil where they can't be read.
        var backups: [Int: [Int]?] = [:]
        /// The server's major version; nil when there is no server to ask.
        var own: Int?
        let current: Int?
        var isKnown = false
        var testDescription: String { name }
    }

    @Test(arguments: [
        Row(name: "nothing was initialised", own: 15, current: nil),
        Row(name: "the server's own", backups: [14: [9], 15: [1]], own: 15, current: 15, isKnown: true),
        Row(
            name: "the server's own, though it is older", backups: [14: [1], 15: [9]], own: 14, current: 14,
            isKnown: true),
        Row(
            name: "the server's own, though its backups can't be read", backups: [14: [1], 15: nil], own: 15,
            current: 15, isKnown: true),
        Row(name: "the only one, without a server", backups: [15: []], current: 15),
        Row(name: "the only one, with another cluster's server", backups: [15: []], own: 16, current: 15),
        Row(name: "of several the one with the newest backup", backups: [13: [2], 14: [3, 9], 15: [4]], current: 14),
        Row(name: "the same with another cluster's server", backups: [14: [9], 15: [4]], own: 16, current: 14),
        Row(name: "one with a backup rather than a newer one without", backups: [14: [1], 15: []], current: 14),
        Row(name: "one whose backups can be read", backups: [14: [1], 15: nil], current: 14),
        Row(name: "without any backup the newest version", backups: [14: [], 15: []], current: 15),
    ])
    func `a command gets the server's own, the only one, or the one with the newest backup`(_ row: Row) throws {
        let repository = try Self.repository(row.backups.keys)
        let known = try ClusterIncarnations(of: "main", own: row.own.map(Self.incarnation), in: repository) { archive in
            guard let days = row.backups[archive.incarnation.major] ?? nil else { throw Problem("cannot be read") }
            return days.map(Self.time)
        }
        #expect(known?.current.incarnation.major == row.current)
        #expect(known?.isKnown ?? false == row.isKnown)
        #expect(known?.all.map(\.incarnation.major) ?? [] == row.backups.keys.sorted())
        #expect(known?.former.map(\.incarnation.major) ?? [] == row.backups.keys.sorted().filter { $0 != row.current })
    }

    @Test func `no other incarnation is taken for one that has lost its marker`() throws {
        let lost = Self.incarnation(15)
        for others in [[], [14], [16], [14, 16]] {
            let repository = try Self.repository(others)
            // An empty folder, or one without objects, is none.
            #expect(try repository.lostMarkers(of: "main").isEmpty)
            try repository.store.create(lost.history(TimelineID(2)), bytes: [])
            #expect(try repository.lostMarkers(of: "main").map(\.incarnation) == [lost])
            #expect(throws: LostMarker.self) { try repository.onlyArchive(of: "main") }
            #expect(throws: LostMarker.self) { try repository.archive(of: lost, named: "the data directory") }
            #expect(throws: LostMarker.self) {
                try ClusterIncarnations(of: "main", own: lost, in: repository) { _ in [] }
            }
            if let other = others.first {
                // A server that is another one gets what is its own.
                let known = try ClusterIncarnations(of: "main", own: Self.incarnation(other), in: repository) { _ in []
                }
                #expect(known?.current.incarnation.major == other)
            }
        }
    }

    @Test func `a server gets its own and no other`() throws {
        let repository = try Self.repository([14, 15])
        let archive = try repository.archive(of: Self.incarnation(15), named: "the data directory")
        #expect(archive.incarnation == Self.incarnation(15))
        let refusal = #expect(throws: NotInitialised.self) {
            try repository.archive(of: Self.incarnation(16), named: "segment \"x\"")
        }
        #expect(refusal?.message.hasPrefix("segment \"x\" belongs to system identifier 16") == true)
        #expect(refusal?.isTransient == true)
        // The same cluster before pg_upgrade is another incarnation.
        let former = Incarnation(cluster: "main", major: 14, systemIdentifier: 15)
        #expect(throws: NotInitialised.self) { try repository.archive(of: former, named: "the data directory") }
    }

    @Test(
        arguments: [
            ([], "cluster \"main\" has not been initialised in repository \"memory\""), ([15], nil),
            ([14, 15], "cannot tell which incarnation of cluster \"main\" is meant"),
        ] as [([Int], String?)])
    func `without a server PostgreSQL's calls get the only one or none`(_ majors: [Int], _ refusal: String?) throws {
        let repository = try Self.repository(majors)
        let result = Result { try repository.onlyArchive(of: "main") }
        switch result {
        case .success(let archive):
            #expect(refusal == nil)
            #expect(archive.incarnation.major == majors.first)
        case .failure(let error): #expect((error as? NotInitialised)?.message == refusal)
        }
    }

    private func known(_ backups: [Int: [Int]], own: Int?) throws -> ClusterIncarnations {
        let repository = try Self.repository(backups.keys)
        for (major, days) in backups {
            for day in days {
                try repository.store.create(Self.incarnation(major).backupDescription("\(day)"), bytes: [1])
            }
        }
        return try #require(
            try ClusterIncarnations(of: "main", own: own.map(Self.incarnation), in: repository) {
                (backups[$0.incarnation.major] ?? []).map(Self.time)
            })
    }

    @Test(
        arguments: [
            ("its own", "15-15", 15), ("another", "14-14", 14), ("none that there is", "16-16", nil),
        ] as [(String, String, Int?)])
    func `a name says which one`(_ what: String, _ name: String, _ expected: Int?) throws {
        let known = try known([14: [1], 15: [9]], own: 15)
        let found = Result { try known.named(name).incarnation.major }
        #expect((try? found.get()) == expected, "\(what)")
        guard expected == nil, case .failure(let error) = found else { return }
        #expect((error as? Problem)?.message == "cluster \"main\" has no incarnation \"16-16\"")
    }

    @Test(arguments: [
        ("the current one's", "9", 15), ("a former one's", "1", 14), ("nobody's", "5", 15), ("no label", "../9", 15),
    ])
    func `a backup says which one`(_ what: String, _ label: String, _ expected: Int) throws {
        let known = try known([14: [1], 15: [9]], own: 15)
        #expect(try known.holding(label).incarnation.major == expected, "\(what)")
    }

    @Test(arguments: [
        ("after the current one's first backup", 10, 15), ("before it", 8, 14), ("before that one's first", 4, 13),
        ("before every backup", 1, 15),
    ])
    func `a moment says which one`(_ what: String, _ day: Int, _ expected: Int) throws {
        let known = try known([13: [2], 14: [5, 7], 15: [9]], own: 15)
        #expect(try known.holding(Self.time(day)).incarnation.major == expected, "\(what)")
    }
}
