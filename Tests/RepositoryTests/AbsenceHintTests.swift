import Platform
import Support
import Testing

@testable import Repository

/// What is asked of the administrator where something is missing: only a directory can lie on a file system that isn't
/// mounted.
@Suite struct AbsenceHintTests {
    @Test func `only a directory store asks whether its storage is mounted`() throws {
        let scratch = try Scratch()
        let memory = MemoryStore()
        let directory = DirectoryStore(scratch.file("repository"))
        try Files.makeDirectories(directory.location)
        let stores: [(any ObjectStore, Bool)] = [
            (memory, false), (directory, true),
            (InterceptedStore(memory, Counting()), false), (InterceptedStore(directory, Counting()), true),
        ]
        let incarnation = Incarnation(cluster: "main", major: 15, systemIdentifier: 1)
        for (store, isMounted) in stores {
            let repository = Repository(store)
            let missing = #expect(throws: NotInitialised.self) {
                try repository.archive(of: incarnation, named: "the data directory")
            }
            #expect(missing?.hint?.contains("mounted?") == isMounted, "\(missing?.hint ?? "")")
            #expect(missing?.hint?.hasPrefix("Run \"tidemark init") == true)
        }
        let history = incarnation.walFolder.appending("00000002.history.zst")
        try memory.create(history, bytes: [1])
        try Files.makeDirectories(directory.path(incarnation.walFolder))
        try createDurably(directory.path(history), bytes: [1])
        for (store, isMounted) in [(memory as any ObjectStore, false), (directory, true)] {
            let lost = #expect(throws: LostMarker.self) {
                try Repository(store).archive(of: incarnation, named: "the data directory")
            }
            #expect(lost?.hint?.contains("mounted?") == isMounted, "\(lost?.hint ?? "")")
            #expect(lost?.hint?.contains("Restore the document from a copy") == true)
        }
    }
}
