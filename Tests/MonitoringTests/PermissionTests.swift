import Monitoring
import Platform
import Support
import Testing

@Suite struct PermissionTests {
    /// The offered commands can be pasted into a shell.
    @Test func `a remedy closes a place whose name has blanks and quotes in it`() throws {
        let scratch = try Scratch()
        let places = ["repository", "state"].map { scratch.file("an \"odd\" owner's \($0)") }
        for place in places { try Files.makeDirectories(place) }
        let file = scratch.file("tide mark.conf")
        try createDurably(file, bytes: [])
        func find() -> [PermissionFinding] {
            PermissionFinding.find(
                repository: places[0], stateDirectory: places[1], configuration: file, secrets: [("secret", file)])
        }
        _ = try run("/bin/chmod", ["0777"] + places + [file])
        let open = find()
        #expect(open.count >= 4, "\(open)")
        for finding in open { _ = try run("/bin/sh", ["-c", finding.remedy]) }
        #expect(find() == [])
    }
}
