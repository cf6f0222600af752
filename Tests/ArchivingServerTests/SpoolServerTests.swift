import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// Which calls take segments from a spool.
@Suite struct SpoolServerTests {
    /// A call that requests a segment that is in a server's spool.
    enum Asker: CaseIterable {
        case theServer, anotherDirectory, anotherRepository, afterAReboot
    }

    @Test func `a spool is for one repository, one data directory and one boot of the machine`() throws {
        try #require(geteuid() == 0, "another run of the machine is played by a mount")
        let archive = try Archive()
        let name = archive.origin.segments[0].description
        let content = try Files.read(archive.origin.wal(name))
        // No segment follows, so no prefetcher is started.
        try archive.push(archive.origin.wal(name), expectSuccess: true)
        let server = try CallingServer(archive)
        #expect(try server.get(name).ending == .exited(0))
        let spools = archive.scratch.file("state/main/spool")
        let spool = try #require(Files.list(spools).first)
        // As a crashed machine may leave it: only the beginning is there.
        let half = Array(content[..<8192]) + [UInt8](repeating: 0, count: content.count - 8192)

        let stranger = try CallingServer(archive, "another")
        let (copy, other) = (archive.scratch.file("copy"), archive.scratch.file("other.conf"))
        #expect(try run("/bin/cp", ["-a", archive.repository, copy]).ending == .exited(0))
        let text = try Files.readText(archive.configuration).replacing(archive.repository, with: copy)
        try createDurably(other, bytes: Array(text.utf8), mode: 0o644)
        let bootID = archive.scratch.file("boot_id")
        try createDurably(bootID, bytes: Array("5b0bb2b6-0000-4000-8000-000000000001\n".utf8), mode: 0o644)
        for asker in Asker.allCases {
            try replaceDurably("\(spools)/\(spool)/\(name)", bytes: half, mode: 0o600)
            try archive.giveToServer(spools)
            let finished: Finished
            switch asker {
            case .theServer: finished = try server.get(name)
            case .anotherDirectory: finished = try stranger.get(name)
            case .anotherRepository: finished = try server.get(name, configuration: other)
            case .afterAReboot: finished = try server.get(name, bootID: bootID)
            }
            #expect(finished.ending == .exited(0), "\(asker): \(finished)")
            let delivered = try (asker == .anotherDirectory ? stranger : server).delivered()
            #expect(delivered == Digest(of: asker == .theServer ? half : content), "\(asker)")
        }
    }

    @Test func `a segment that wasn't there is looked for again`() throws {
        let archive = try Archive()
        let names = archive.origin.segments
        try archive.push(archive.origin.wal(names[0].description), expectSuccess: true)
        let server = try CallingServer(archive)
        #expect(try server.get(names[0].description).ending == .exited(0))
        for _ in 1...2 { #expect(try server.get(names[1].description).ending == .exited(1)) }
        try archive.push(archive.origin.wal(names[1].description), expectSuccess: true)
        #expect(try server.get(names[1].description).ending == .exited(0))
        #expect(try server.delivered() == Digest(of: Files.read(archive.origin.wal(names[1].description))))
    }

    /// A fault that `archive-get` meets.
    struct Trouble: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let mayPass: Bool
        let make: @Sendable (Archive, _ object: String) throws -> Void

        static let all = [
            Trouble(testDescription: "a repository that is gone", mayPass: true) { archive, _ in
                #expect(rename(archive.repository, archive.repository + ".away") == 0)
            },
            Trouble(testDescription: "an empty mount point", mayPass: true) { archive, _ in
                #expect(rename(archive.repository, archive.repository + ".away") == 0)
                try Files.makeDirectories(archive.repository)
                chmod(archive.repository, 0o755)
            },
            Trouble(testDescription: "a link to what isn't mounted", mayPass: true) { _, object in
                try Files.remove(object)
                #expect(symlink("/srv/tier/not-mounted", object) == 0)
            },
            Trouble(testDescription: "damage", mayPass: false) { archive, object in
                var bytes = try Files.read(object)
                bytes[bytes.count / 2] ^= 1
                try replaceDurably(object, bytes: bytes)
                try archive.giveToServer(object)
            },
            Trouble(testDescription: "a cut", mayPass: false) { _, object in #expect(truncate(object, 20_000) == 0) },
            Trouble(testDescription: "a damaged marker", mayPass: false) { archive, object in
                try Files.remove(object)
                let marker = archive.store.path(archive.origin.incarnation.marker)
                try replaceDurably(marker, bytes: [])
                try archive.giveToServer(marker)
            },
        ]
    }

    @Test(arguments: Trouble.all)
    func `a server's call is repeated every second where that may help, and only there`(_ trouble: Trouble) throws {
        let archive = try Archive(settings: ["get_retry_timeout = 8s"])
        let segment = archive.origin.segments[0]
        try archive.push(archive.origin.wal(segment.description), expectSuccess: true)
        try trouble.make(archive, archive.path(segment))
        let server = try CallingServer(archive)
        func looks(_ finished: Finished) -> Int {
            #expect(finished.ending == .exited(200), "\(finished)")
            return finished.errors.split(separator: "\n").count {
                $0.hasPrefix("trace: ") && $0.contains(archive.repository)
            }
        }
        let patient = try server.get(segment.description, fault: "trace")
        try Files.remove(server.directory + "/postmaster.pid")
        let byHand = try server.get(segment.description, fault: "trace")
        #expect(!byHand.errors.contains("is tried again"), "\(byHand)")
        #expect(patient.errors.contains("is tried again for up to 8.0 s") == trouble.mayPass, "\(patient)")
        let (many, one) = (looks(patient), looks(byHand))
        #expect(one > 0 && (trouble.mayPass ? many >= 2 * one : many == one), "\(many) \(one)\n\(patient)\n\(byHand)")
    }
}
