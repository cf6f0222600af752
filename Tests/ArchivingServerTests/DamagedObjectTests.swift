import Platform
import Repository
import Support
import Testing
import WAL

/// What happens to a damaged object when a server archives its file again.
@Suite struct DamagedObjectTests {
    enum Subject: String, CaseIterable, Sendable { case history, segment, backupHistory }

    private struct Damaged {
        let archive: Archive
        let name: String
        let file: String
        let key: RepositoryKey
        let content: [UInt8]
        let object: [UInt8]

        /// - Parameter offset: of the damaged byte, from the beginning or, negative, from the end.
        init(_ subject: Subject, at offset: Int? = nil) throws {
            archive = try Archive()
            let incarnation = archive.origin.incarnation
            switch subject {
            case .history:
                name = "00000002.history"
                file = archive.scratch.file(name)
                key = incarnation.history(TimelineID(2))
                try createDurably(file, bytes: Array("1\t0/3000000\tno recovery target\n".utf8), mode: 0o644)
            case .backupHistory:
                name = archive.origin.backupHistory
                file = archive.origin.wal(name)
                key = incarnation.key(for: try #require(ArchiveFileName(name)))
            case .segment:
                name = archive.origin.segments[1].description
                file = archive.origin.wal(name)
                key = incarnation.segment(archive.origin.segments[1])
            }
            content = try Files.read(file)
            try archive.push(file, expectSuccess: true)
            var bytes = try archive.store.read(key)
            bytes[offset.map { $0 < 0 ? bytes.count + $0 : $0 } ?? bytes.count / 2] ^= 0xFF
            object = bytes
            try damage()
        }

        func damage() throws {
            try archive.store.remove(key)
            try archive.store.create(key, bytes: object)
            try archive.giveToServer(archive.repository)
        }

        /// The damaged objects that were kept.
        func kept() throws -> [[UInt8]] {
            try run("/usr/bin/find", [archive.repository, "-path", "*/aside/*-damaged-*", "-name", name + ".zst"])
                .output.split(separator: "\n").map { try Files.read(String($0)) }
        }

        func folders() throws -> Int {
            try archive.store.list(archive.origin.incarnation.asideFolder).count
        }

        func got() throws -> Finished { try archive.get(name, to: archive.scratch.file("got")) }

        func expectWhole(_ said: String = "") throws {
            #expect(try got().ending == .exited(0), "\(said)")
            #expect(try Files.read(archive.scratch.file("got")) == content, "\(said)")
            // The next push finds nothing to do.
            #expect(try archive.push(file, expectSuccess: true).errors == "", "\(said)")
        }
    }

    /// An intact head proves nothing: the server may recycle its own copy once it is acknowledged.
    @Test(
        arguments: [
            (Subject.segment, 30), (.segment, 60), (.segment, 5000), (.segment, -1), (.history, 30), (.history, 70),
            (.backupHistory, -70),
        ])
    func `a damaged object is stored again by a server that has the file`(subject: Subject, offset: Int)
        throws
    {
        let damaged = try Damaged(subject, at: offset)
        let got = try damaged.got()
        #expect(got.ending == .exited(200))
        // The message offers a command that works in a server's data directory.
        let offered = got.errors.matches(of: /"tidemark ([^"]+)"/)
            .map { $0.output.1.split(separator: " ").map(String.init) }
        let options = ["--config", damaged.archive.configuration]
        #expect(
            offered == [["archive-push", "pg_wal/\(damaged.name)"] + options, ["verify"] + options], "\(got.errors)")
        let server = damaged.archive.scratch.file("server")
        try Files.makeDirectories(server + "/pg_wal")
        try createDurably("\(server)/pg_wal/\(damaged.name)", bytes: damaged.content, mode: 0o644)
        try damaged.archive.giveToServer(server)
        func offer(_ words: [String], expectSuccess: Bool) throws -> Finished {
            try runAsServerUser(
                "/bin/sh", ["-c", "cd '\(server)' && exec \"$@\"", "sh", Executables.tidemark()] + words,
                environment: ["TIDEMARK_CONFIG": damaged.archive.configuration], expectSuccess: expectSuccess)
        }
        let verified = try offer(["verify"], expectSuccess: false)
        #expect((verified.output + verified.errors).contains(damaged.name), "\(verified)")
        let pushed = try offer(["archive-push", "pg_wal/\(damaged.name)"], expectSuccess: true)
        #expect(pushed.errors.contains("was damaged in the repository, and is stored again"), "\(pushed.errors)")
        try damaged.expectWhole()
        // Nothing is removed, and nothing of the timeline counts as put aside.
        #expect(try damaged.kept() == [damaged.object])
        #expect(try damaged.archive.archived.asideFolders().isEmpty)
        let record = try run("/usr/bin/find", [damaged.archive.repository, "-name", "record.json"]).output
        let text = try Files.readText(String(record.split(separator: "\n").first ?? ""))
        #expect(text.contains("\"what\" : \"\(damaged.name)\"") && text.contains("It was damaged"), "\(text)")
    }

    /// The process is killed at every call, or every call fails.
    @Test(arguments: [Subject.history, .segment], ["kill", "EIO"])
    func `a damaged object is replaced without a moment of absence`(subject: Subject, effect: String) throws {
        let damaged = try Damaged(subject)
        var struck: Set<String> = []
        for call in ["fsync", "rename", "link", "lock", "makeDirectory", "close"] {
            for number in 1...20 {
                try damaged.damage()
                let fault = "\(call):\(number)=\(effect)"
                let pushed = try damaged.archive.push(damaged.file, fault: fault)
                guard pushed.errors.contains("fault: ") else { break }
                struck.insert(call)
                let said = "\(fault): \(pushed.errors)"
                let got = try damaged.got()
                switch got.ending {
                case .exited(0):
                    #expect(try Files.read(damaged.archive.scratch.file("got")) == damaged.content, "\(said)")
                case .exited(200): #expect(pushed.ending != .exited(0), "\(said)")
                default: Issue.record("\(said): \(got)")
                }
                // The damaged one still exists: in its place, or kept.
                if got.ending == .exited(0) { #expect(try damaged.kept().contains(damaged.object), "\(said)") }
                try damaged.archive.push(damaged.file, expectSuccess: true)
                try damaged.expectWhole(said)
                try Files.removeTree(damaged.archive.store.path(damaged.archive.origin.incarnation.asideFolder))
            }
        }
        #expect(struck.isSuperset(of: ["fsync", "rename", "link", "lock"]), "\(struck)")
    }

    /// A failed attempt is repeated every minute for as long as it fails.
    @Test(arguments: ["link:*=ENOSPC", "rename:*=EIO"]) func `failures leave nothing below aside`(fault: String) throws
    {
        let damaged = try Damaged(.history)
        for _ in 1...2 {
            #expect(try damaged.archive.push(damaged.file, fault: fault).ending == .exited(1))
            #expect(try damaged.archive.store.read(damaged.key) == damaged.object)
            #expect(try damaged.folders() == 0)
        }
        // Where links can't be created it is copied.
        try damaged.archive.push(damaged.file, fault: "link:*=EPERM", expectSuccess: true)
        #expect(try damaged.kept() == [damaged.object])
        try damaged.expectWhole()
    }

    @Test(arguments: Subject.allCases)
    func `of two pushes at once one replaces a damaged object`(subject: Subject) throws {
        let push = try [Executables.tidemark(), "archive-push", "--config"]
        let refused = "is being replaced or moved by another process"
        for (call, status, errors) in [("fsync:.", 0, ""), ("rename:.", 1, refused)] {
            let damaged = try Damaged(subject)
            let line = push + [damaged.archive.configuration, damaged.file]
            // Before the last read of the damaged object, and after it.
            let first = try Gate(at: call + damaged.name).run(
                line[0], Array(line.dropFirst()),
                meanwhile: "env -u TIDEMARK_FAULT '\(line.joined(separator: "' '"))'; echo $?")
            #expect(first.ending == .exited(0), "\(first)")
            #expect(first.output == "\(status)\n" && first.errors.contains(errors), "\(first)")
            #expect(try damaged.kept() == [damaged.object] && damaged.folders() == 1)
            try damaged.expectWhole()
        }
    }

    /// While one is at work, the other is refused; afterwards, both can do their work.
    @Test(arguments: [Subject.history, .segment], ["unlink:", "rename:."])
    func `a damaged object that is put aside while a server archives it again takes nothing with it`(
        subject: Subject, gate: String
    ) throws {
        let damaged = try Damaged(subject)
        let words = ["--config", damaged.archive.configuration]
        let push = try [Executables.tidemark(), "archive-push"] + words + [damaged.file]
        let putAside =
            try [Executables.tidemark(), "segments", "put-aside", damaged.name, "--certain", "--yes"] + words
        let (first, second) = gate == "unlink:" ? (putAside, push) : (push, putAside)
        // One process has given the damaged object its name below aside/, and is about to free the name or to take it.
        let end = try Gate(at: "\(gate)\(damaged.name).zst").run(
            first[0], Array(first.dropFirst()),
            meanwhile: "env -u TIDEMARK_FAULT '\(second.joined(separator: "' '"))'; echo status $?")
        #expect(end.ending == .exited(0), "\(end)")
        #expect(end.output.contains("status 1\n"), "\(end)")
        #expect(end.errors.contains("is being replaced or moved by another process"), "\(end)")
        try damaged.archive.push(damaged.file, expectSuccess: true)
        try damaged.expectWhole()
        let aside = try run("/usr/bin/find", [damaged.archive.repository, "-path", "*/aside/*/\(damaged.name).zst"])
        let kept = try aside.output.split(separator: "\n").map { try Files.read(String($0)) }
        #expect(kept == [damaged.object], "\(aside)")
    }

    @Test(arguments: ["EACCES", "EIO"]) func `an object that can't be opened can be put aside`(error: String) throws {
        let damaged = try Damaged(.segment)
        let words = ["segments", "put-aside", damaged.name, "--certain", "--yes"]
        let end = try runAsServerUser(
            Executables.tidemark(), words + ["--config", damaged.archive.configuration],
            environment: ["TIDEMARK_FAULT": "open:\(damaged.name).zst=\(error)"], expectSuccess: true)
        #expect(end.errors.contains("fault: open"), "\(end)")
        #expect(try damaged.got().ending == .exited(1))
        try damaged.archive.push(damaged.file, expectSuccess: true)
        try damaged.expectWhole()
    }

    /// Only the next segment shows whether the offered file is the one whose head can't be read.
    @Test(arguments: [
        ("open:NEXT.zst=EIO", false), ("open:NEXT.zst=EACCES", false), ("read:NEXT.zst=ESTALE", false),
        ("read:NEXT.zst=EIO", false), ("absent", true), ("damaged", true), ("", true),
    ])
    func `the next segment is compared, and a failure to read it is an error`(
        trouble: String, passes: Bool
    ) throws {
        let damaged = try Damaged(.segment, at: 60)
        let archive = damaged.archive
        let next = archive.origin.segments[2]
        if trouble != "absent" { try archive.push(archive.origin.wal(next.description), expectSuccess: true) }
        if trouble == "damaged" {
            var bytes = try archive.store.read(archive.origin.incarnation.segment(next))
            bytes[60] ^= 0xFF
            try replaceDurably(archive.path(next), bytes: bytes)
            try archive.giveToServer(archive.repository)
        }
        let fault = trouble.contains("=") ? trouble.replacing("NEXT", with: "\(next)") : nil
        let pushed = try archive.push(damaged.file, fault: fault)
        #expect(pushed.ending == .exited(passes ? 0 : 1), "\(pushed)")
        if !passes {
            #expect(pushed.errors.contains("ERROR:") && pushed.errors.contains(next.description), "\(pushed)")
            #expect(try archive.store.read(damaged.key) == damaged.object && damaged.folders() == 0)
            try archive.push(damaged.file, expectSuccess: true)
        }
        try damaged.expectWhole()
    }

    /// Its head has another digest, or can't be read, and the next archived segment continues other records.
    @Test(arguments: [5000, 60]) func `another file does not take a damaged segment's place`(offset: Int) throws {
        let damaged = try Damaged(.segment, at: offset)
        let archive = damaged.archive
        let (own, next) = (archive.origin.segments[1], archive.origin.segments[2].description)
        let offered: String
        if offset == 60 {
            try archive.push(try archive.copy(next) { try? rewriteFirstPrevious(&$0) }, expectSuccess: true)
            offered = damaged.file
        } else {
            offered = try archive.copy(damaged.name) {
                $0 = (try? EarlySegment.contradicting($0, own, at: $0.count - 9000)) ?? []
            }
        }
        let refused = try archive.push(offered)
        #expect(refused.ending == .exited(1), "\(refused.errors)")
        #expect(refused.errors.contains("is not known to be the same"), "\(refused.errors)")
        #expect(refused.errors.contains("\"tidemark segments put-aside \(damaged.name) "), "\(refused.errors)")
        // A recovery must stop there, and not take the segment for absent.
        #expect(try archive.store.read(damaged.key) == damaged.object && damaged.folders() == 0)
        #expect(try damaged.got().ending == .exited(200))
        guard offset != 60 else { return }
        try archive.push(damaged.file, expectSuccess: true)
        try damaged.expectWhole()
    }
}
