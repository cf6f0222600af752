import Configuration
import Platform
import Repository
import Support
import Synchronization
import Testing
import WAL

@testable import Archiving

/// Pushes and fetches that one process does for several servers. Nothing depends on the process's working directory.
@Suite struct ArchiveCallerTests {
    /// A directory with what makes it a server's.
    private func server(_ scratch: Scratch, _ name: String) throws -> String {
        let directory = scratch.file(name)
        try Files.makeDirectories(directory + "/pg_wal")
        try createDurably(directory + "/postmaster.pid", bytes: Array("1\n".utf8), mode: 0o600)
        return directory
    }

    private func caller(_ directory: String) -> ArchiveCaller { ArchiveCaller(in: directory) { true } }

    @Test func `a relative path is the caller's`() throws {
        let repository = try FixtureRepository(storing: [])
        let (one, two) = (try server(repository.scratch, "one"), try server(repository.scratch, "two"))
        let (name, bytes) = (repository.names[0], try WALFixture.unpacked("pg15", repository.names[0]))
        try createDurably(one + "/pg_wal/" + name, bytes: bytes, mode: 0o600)
        func push(_ directory: String) throws -> Push.Outcome {
            let push = Push(
                into: Repository(repository.store), cluster: "main", dataDirectory: nil, caller: caller(directory),
                level: 1
            ) { _ in }
            return try push("pg_wal/" + name)
        }
        #expect(throws: SystemError.self) { try push(two) }
        #expect(try push(one) == .stored)
        for directory in [one, two] {
            let fetch = Fetch(
                from: Repository(repository.store), cluster: "main", dataDirectory: nil, caller: caller(directory))
            #expect(try fetch(name, to: "pg_wal/RECOVERYXLOG") == .delivered)
            #expect(try Files.read(directory + "/pg_wal/RECOVERYXLOG") == bytes)
        }
    }

    @Test func `each server has its own spool, and somebody who is none has no spool`() throws {
        let repository = try FixtureRepository(storing: nil)
        let scratch = repository.scratch
        let started = Mutex<[String]>([])
        let bystander = scratch.file("bystander")
        try Files.makeDirectories(bystander)
        let directories = try [server(scratch, "one"), server(scratch, "two"), bystander]
        for directory in directories {
            let prefetch = Prefetch(segments: 4, spoolSize: 1 << 30, spool: scratch.file("spool")) {
                started.withLock { $0.append(directory) }
            }
            let fetch = Fetch(
                from: Repository(repository.store), cluster: "main", dataDirectory: nil, caller: caller(directory),
                prefetch: prefetch)
            #expect(try fetch(repository.names[0], to: directory + "/segment") == .delivered)
        }
        #expect(started.withLock { $0 } == Array(directories.prefix(2)))
        #expect(try Files.list(scratch.file("spool")).count == 2)
    }

    @Test func `a failed fetch is repeated for a server as long as it waits`() throws {
        let scratch = try Scratch()
        let directory = try server(scratch, "server")
        let bystander = scratch.file("bystander")
        try Files.makeDirectories(bystander)
        for (place, patience, tries) in [(directory, 2, 3), (directory, 0, 1), (bystander, 2, 1)] {
            let asked = Atomic(0)
            let told = Atomic(0)
            let caller = ArchiveCaller(in: place) {
                asked.wrappingAdd(1, ordering: .relaxed).newValue <= patience
            }
            let fetch = Fetch(
                from: Repository(DirectoryStore(scratch.file("away"))), cluster: "main", dataDirectory: nil,
                caller: caller)
            #expect(throws: RepositoryMissing.self) {
                try fetch("000000010000000000000001", to: place + "/segment", patience: 3_600_000) { _ in
                    told.wrappingAdd(1, ordering: .relaxed)
                }
            }
            #expect(asked.load(ordering: .relaxed) == (place == bystander ? 0 : tries))
            #expect(told.load(ordering: .relaxed) == (tries > 1 ? 1 : 0))
        }
    }

    @Test func `of several clusters the caller's is served`() throws {
        let scratch = try Scratch()
        let (one, two) = (try server(scratch, "one"), try server(scratch, "two"))
        try createDurably(
            scratch.file("tidemark.conf"),
            bytes: Array(
                """
                [cluster one]
                data_directory = '\(one)'
                repository = '\(scratch.file("repository"))'
                [cluster two]
                data_directory = '\(two)'
                repository = '\(scratch.file("repository"))'

                """.utf8), mode: 0o600)
        let configuration = try Configuration(
            reading: scratch.file("tidemark.conf"), flags: [:], forArchiving: true)
        for (directory, name) in [(one, "one"), (two, "two")] {
            let served = try configuration.servedCluster(named: nil, calledBy: caller(directory), file: nil)
            #expect(served.name == name)
        }
        let elsewhere = caller(scratch.file("elsewhere"))
        #expect(throws: (any Error).self) {
            try configuration.servedCluster(named: nil, calledBy: elsewhere, file: nil)
        }
        let file = two + "/pg_wal/000000010000000000000001"
        #expect(try configuration.servedCluster(named: nil, calledBy: elsewhere, file: file).name == "two")
    }
}
