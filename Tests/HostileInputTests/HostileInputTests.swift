import Support
import Testing

/// Any content of a file or the command line gives a result or an error; none ends the process.
@Suite(.serialized) struct HostileInputTests {
    @Test(arguments: HostileFormat.all)
    func `any change to what is read gives an answer or an error`(_ format: HostileFormat) throws {
        let (read, refused) = try format.attack()
        // A format of which nothing is accepted tests only its first check.
        #expect(read > 0 || format.isSealed && refused > 0, "\(format): \(read) read, \(refused) refused")
    }

    @Test func `any change to a manifest gives an answer or an error`() throws {
        let (restored, refused) = try HostileManifest().attack(HostileFormat.isSoak ? HostileFormat.cases : 100)
        #expect(restored > 10 && refused > 10, "\(restored) restored, \(refused) refused")
    }
}
