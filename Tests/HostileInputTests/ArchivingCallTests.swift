import Testing

@testable import Setup

@Suite struct ArchivingCallTests {
    /// Whether the server gets the true result of archiving.
    @Test(
        arguments: [
            ("tidemark archive-push %p", true), ("/usr/bin/tidemark archive-push --cluster main \"%p\"", true),
            ("test -f %p && tidemark archive-push %p", true), ("tidemark archive-push %p 2>&1", true),
            ("tidemark archive-push %p >>/var/log/push.log 2>>'/var/log/a;b'", true),
            ("tidemark archive-push %p &>>/var/log/push.log", true),
            ("tidemark archive-push %p || true", false), ("tidemark archive-push %p; true", false),
            ("tidemark archive-push %p | logger", false), ("tidemark archive-push %p &", false),
            ("true # tidemark archive-push %p", false), ("# tidemark archive-push %p", false),
            ("true\ntidemark archive-push %p", false), ("cp %p /srv/wal/%f", false),
        ] as [(String, Bool)])
    func `a command that may hide a failure doesn't serve`(command: String, serves: Bool) {
        let call = ArchivingCall(command: "tidemark archive-push %p", cluster: "main", hasOthers: false)
        #expect(call.isServed(by: command) == serves)
    }
}
