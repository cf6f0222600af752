import Support
import Testing

/// Whatever stands in a file or on the command line gives an answer or an error; nothing ends the process.
@Suite(.serialized) struct HostileInputTests {
    @Test(arguments: HostileFormat.binary + HostileFormat.json + HostileFormat.text)
    func `any change to what is read gives an answer or an error`(_ format: HostileFormat) throws {
        let (read, refused) = try format.attack()
        // One that takes nothing hides what is behind its door.
        #expect(read > 0 || format.isSealed && refused > 0, "\(format): \(read) read, \(refused) refused")
    }

    @Test func `any change to a manifest gives an answer or an error`() throws {
        let (restored, refused) = try HostileManifest().attack(HostileFormat.cases / 10)
        #expect(restored > 10 && refused > 10, "\(restored) restored, \(refused) refused")
    }
}
