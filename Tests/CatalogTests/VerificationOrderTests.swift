import Backups
import Platform
import Repository
import Support
import Testing
import WAL

/// Which verification of a backup was the last.
@Suite struct VerificationOrderTests {
    private static let label = "20261105T020000Z-full"

    @Test(
        arguments: [
            "verified-20261105T020000Z.json", "verified-20261105T020000.000007Z.json",
            // A clock was wrong.
            "verified-20991105T020000Z.json", "verified-20991105T020000.999999Z.json",
        ])
    func `the one that was recorded last counts, whatever the clock said before`(_ earlier: String) throws {
        let repository = try FixtureRepository(storing: [])
        let key = repository.incarnation.backup(Self.label, earlier)
        try repository.store.create(
            key,
            SealedDocument(
                .verification,
                body: Array(
                    #"{"time":"2099-11-05T02:00:00Z","problems":0,"messages":[],"frames":1,"bytes":1,"seconds":1}"#.utf8
                )))
        #expect(try lastVerification(of: Self.label, of: repository.archive)?.problems == 0)
        for count in [2, 1, 3] {
            var report = VerifyReport(label: Self.label)
            report.problems = (0..<count).map { BackupProblem("problem \($0)") }
            try recordVerification(report, of: repository.archive)
            let last = try #require(try lastVerification(of: Self.label, of: repository.archive))
            #expect(last.problems == count && last.fault == nil)
            #expect(last.time.microseconds <= Clock.now)
        }
    }
}
