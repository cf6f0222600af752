import Repository
import Testing

/// The places of a host's state about a cluster and its repository.
@Suite struct StateDirectoryTests {
    private static func state(_ cluster: String = "main", _ repository: String = "/r") -> StateDirectory {
        StateDirectory("/state", cluster: cluster, repository: repository)
    }

    /// Directories that would be mixed up if a name were made from the path alone.
    @Test(arguments: [
        ("/a/b", "/a-b"), ("/a/b", "/a b"), ("/a", "/a/a"), ("/x/data", "/y/data"), ("/a/é", "/a/e\u{301}"),
        ("/" + String(repeating: "d", count: 3000) + "/1", "/" + String(repeating: "d", count: 3000) + "/2"),
    ])
    func `recoveries into two directories never share a file`(_ one: String, _ other: String) {
        let files = [one, other].map { Self.state().recovery(into: $0) }
        #expect(files[0].utf8.elementsEqual(files[1].utf8) == false)
        for file in files {
            let name = file.split(separator: "/").last!
            #expect(file == "/state/main/recover/\(name)" && name.utf8.count + ".json".utf8.count <= 255)
        }
        // Another cluster has other names, too.
        #expect(Self.state("main-a").recovery(into: "/b") != Self.state("main").recovery(into: "/a-b"))
    }

    /// In each pair, the first path is one that clusters could share.
    @Test func `the state of one cluster or repository is not shared with another`() throws {
        func paths(_ state: StateDirectory) -> [String] {
            let incarnation = Incarnation(cluster: "main", major: 15, systemIdentifier: 1)
            return [
                state.recovery(into: "/d"), state.notices, state.checks, state.pushFailure, state.spool,
                state.importing, state.catalog(of: incarnation), state.verification, state.space, state.jobs,
                state.archivedAhead,
            ]
        }
        let mine = paths(Self.state())
        #expect(Set(mine).count == mine.count)
        #expect(Set(mine).isDisjoint(with: paths(Self.state("other"))))
        // The cluster's six paths stay the same, the repository's five differ.
        let elsewhere = paths(Self.state("main", "/other"))
        #expect(mine[..<6] == elsewhere[..<6] && Set(mine[6...]).isDisjoint(with: elsewhere[6...]))
        for path in mine { #expect(path.hasPrefix("/state/main/")) }
    }
}
