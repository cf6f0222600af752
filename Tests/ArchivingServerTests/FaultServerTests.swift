import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// Every system call of a push and a get fails, is cut short, or is the last one of a killed process.
@Suite struct FaultServerTests {
    private static let effects = ["EIO", "ENOSPC", "EACCES", "ESTALE", "short", "kill"]

    /// The stored objects are correct, and no temporary is taken for an object.
    private func checkStored(_ archive: Archive, _ segment: SegmentName, because: String) throws {
        let stored: StoredSegment
        do {
            stored = try StoredSegment(archive.origin.incarnation.segment(segment), in: archive.store)
        } catch is ObjectAbsent { return }
        var decompressor = try Decompressor()
        var bytes: [UInt8] = []
        try stored.extract(with: &decompressor) { bytes += $0 }
        #expect(try bytes == Files.read(archive.origin.wal(segment.description)), "\(because)")
        #expect(
            try archive.archived.segments(timeline: TimelineID(1)) == [segment],
            "\(because)")
    }

    @Test(arguments: effects)
    func `a push survives a fault in any of its calls`(effect: String) throws {
        let archive = try Archive()
        let segment = archive.origin.segments[1]
        var struck = 0
        for number in 1...200 {
            try resetRepository(archive)
            let fault = "any:\(number)=\(effect)"
            let finished = try archive.push(archive.origin.wal(segment.description), fault: fault)
            guard finished.errors.contains("fault: ") else {
                // A short count is only possible in reads and writes.
                if effect == "short" && number < 60 { continue }
                break
            }
            struck += 1
            let said = "\(fault): \(finished.errors)"
            switch finished.ending {
            case .exited(0): #expect(try Files.exists(archive.path(segment)), "\(said)")
            case .exited(1), .exited(2): #expect(effect != "short" && effect != "kill", "\(said)")
            case .signalled(SIGKILL), .exited(137): #expect(effect == "kill", "\(said)")
            default: Issue.record("\(said): \(finished.ending)")
            }
            try checkStored(archive, segment, because: said)
            if effect != "kill" {
                let left = try run("/usr/bin/find", [archive.repository, "-name", ".*"]).output
                #expect(left == "", "\(said)")
            }
            try archive.push(archive.origin.wal(segment.description), expectSuccess: true)
            try checkStored(archive, segment, because: "again after \(said)")
            #expect(try Files.exists(archive.path(segment)))
        }
        #expect(struck >= (effect == "short" ? 2 : 15), "only \(struck) faults struck")
    }

    private func resetRepository(_ archive: Archive) throws {
        try? Files.removeTree(archive.store.path(archive.origin.incarnation.walFolder))
    }

    @Test(arguments: effects)
    func `a get never calls a segment absent because of a fault, and delivers it whole or not at all`(
        effect: String
    ) throws {
        let archive = try Archive()
        let segment = archive.origin.segments[1]
        try archive.push(archive.origin.wal(segment.description), expectSuccess: true)
        let content = try Files.read(archive.origin.wal(segment.description))
        let destination = archive.scratch.file("fetched")
        var struck = 0
        for number in 1...200 {
            try Files.removeIfPresent(destination)
            let fault = "any:\(number)=\(effect)"
            let finished = try archive.get(segment.description, to: destination, fault: fault)
            guard finished.errors.contains("fault: ") else {
                if effect == "short" && number < 60 { continue }
                break
            }
            struck += 1
            let said = "\(fault): \(finished.errors)"
            switch finished.ending {
            case .exited(0): break
            case .exited(200): #expect(effect != "short" && effect != "kill", "\(said)")
            case .signalled(SIGKILL), .exited(137): #expect(effect == "kill", "\(said)")
            default: Issue.record("\(said): \(finished.ending)")
            }
            if finished.ending == .exited(0) { #expect(try Files.exists(destination), "\(said)") }
            if try Files.exists(destination) { #expect(try Files.read(destination) == content, "\(said)") }
            try archive.get(segment.description, to: destination, expectSuccess: true)
            #expect(try Files.read(destination) == content)
        }
        #expect(struck >= (effect == "short" ? 2 : 10), "only \(struck) faults struck")
        // The same for a missing segment: absent only if everything could be read.
        for number in 1...200 {
            let finished = try archive.get(
                "0000000100000000000000F0", to: destination, fault: "any:\(number)=\(effect)")
            guard finished.errors.contains("fault: ") else { break }
            #expect(finished.ending != .exited(0))
            // Whether a server is recovering only decides about fetching ahead.
            if effect == "EIO", !finished.errors.contains("postmaster.pid") {
                #expect(finished.ending == .exited(200), "\(number): \(finished.errors)")
            }
        }
    }

    @Test func `content is on disk before its name is, and the name before success is reported`() throws {
        let archive = try Archive()
        let segment = archive.origin.segments[1]
        let traced = try archive.push(archive.origin.wal(segment.description), ["--verbose"], fault: "trace")
        #expect(traced.ending == .exited(0))
        let lines = traced.errors.split(separator: "\n").map(String.init)
        let object = archive.path(segment)
        func last(_ start: String, _ end: String = "") -> Int {
            lines.lastIndex { $0.hasPrefix(start) && $0.hasSuffix(end) } ?? -1
        }
        let written = last("trace: write \(Files.parent(object))/.", ".tmp")
        let synchronized = last("trace: fsync \(Files.parent(object))/.", ".tmp")
        let renamed = last("trace: rename \(object)")
        let folder = last("trace: fsync \(Files.parent(object))", Files.name(Files.parent(object)))
        let reported = lines.lastIndex { $0.contains("archived \"") } ?? -1
        #expect(0 <= written && written < synchronized && synchronized < renamed, "\(lines)")
        #expect(renamed < folder && folder < reported, "\(lines)")
        // Every new directory's entry is fsynced in its parent before anything is stored in it.
        for (index, line) in lines.enumerated() where line.hasPrefix("trace: makeDirectory ") {
            let path = line.dropFirst("trace: makeDirectory ".count)
            #expect(lines[index...synchronized].contains("trace: fsync \(Files.parent(String(path)))"), "\(path)")
        }

        // The same segment again: what an earlier process made visible is made durable before it is confirmed.
        let again = try archive.push(archive.origin.wal(segment.description), ["--verbose"], fault: "trace")
        let confirmed = again.errors.split(separator: "\n").map(String.init)
        let made = confirmed.lastIndex { $0 == "trace: fsync \(Files.parent(object))" } ?? -1
        let said = confirmed.lastIndex { $0.contains("is archived already") } ?? -1
        #expect(0 <= made && made < said, "\(confirmed)")
        // An intact head alone would prove nothing.
        let reads = confirmed.filter { $0 == "trace: read \(object)" }
        #expect(reads.count > 1, "\(confirmed)")
        #expect(!confirmed.contains { $0.hasPrefix("trace: write \(archive.repository)") }, "\(confirmed)")

        // PostgreSQL makes durable what it keeps.
        let got = try archive.get(segment.description, to: archive.scratch.file("fetched"), fault: "trace")
        #expect(got.ending == .exited(0) && got.errors.contains("trace: rename "), "\(got.errors)")
        #expect(!got.errors.contains("trace: fsync "), "\(got.errors)")
    }

    @Test func `directories of a process that died before it made them durable are made durable by the next one`()
        throws
    {
        let archive = try Archive()
        let segment = archive.origin.segments[1]
        let folder = Files.parent(archive.path(segment))
        let killed = try archive.push(
            archive.origin.wal(segment.description), fault: "makeDirectory:*=delay:1,fsync:1=kill")
        #expect(killed.errors.contains("fault: killed"), "\(killed.errors)")
        let traced = try archive.push(archive.origin.wal(segment.description), fault: "trace").errors
        let lines = traced.split(separator: "\n").map(String.init)
        let renamed = try #require(lines.firstIndex { $0.hasPrefix("trace: rename ") })
        // The incarnation itself was made durable by `tidemark init`.
        var parent = folder
        while parent != archive.repository + "/" + archive.origin.incarnation.folder.description {
            parent = Files.parent(parent)
            #expect(lines[..<renamed].contains("trace: fsync \(parent)"), "\(traced)")
        }
        // If a folder has an object, its path is known to be durable.
        let second = archive.origin.segments[2].description
        let next = try archive.push(archive.origin.wal(second), fault: "trace").errors
        #expect(!next.contains("trace: fsync \(Files.parent(folder))\n"), "\(next)")
    }

    @Test func `where a directory can't be fsynced, its whole file system is`() throws {
        let archive = try Archive()
        let segment = archive.origin.segments[1]
        let path = archive.origin.wal(segment.description)
        let folder = Files.parent(archive.path(segment))
        func lines(_ fault: String) throws -> [String] {
            let finished = try archive.push(path, fault: fault)
            try resetRepository(archive)
            #expect(finished.ending == .exited(0), "\(fault): \(finished.errors)")
            return finished.errors.split(separator: "\n").map(String.init)
        }
        let calls = try lines("trace").filter { $0.hasPrefix("trace: fsync ") }
        let last = try #require(calls.lastIndex(of: "trace: fsync \(folder)"))
        let faulted = try lines("trace,fsync:\(last + 1)=EINVAL").filter { $0.contains(" fsync \(folder)") }
        // The first time with a fault, and then all of it; that must not fail as well.
        let struck = try #require(faulted.firstIndex { $0.hasPrefix("fault: ") })
        #expect(faulted[struck...].contains("trace: fsync \(folder)"), "\(faulted)")
        let failed = try archive.push(path, fault: "fsync:\(last + 1)=EINVAL,fsync:\(last + 2)=EINVAL")
        #expect(failed.ending == .exited(1), "\(failed.errors)")
    }

    @Test func `slow calls and interrupted calls change nothing`() throws {
        let archive = try Archive()
        let segment = archive.origin.segments[1]
        try archive.push(
            archive.origin.wal(segment.description),
            fault: "fsync:*=delay:200,read:*=EINTR,open:*=EINTR,rename:1=EINTR", expectSuccess: true)
        try checkStored(archive, segment, because: "delays")
    }

    /// File systems without RENAME_NOREPLACE return EINVAL.
    @Test(arguments: ["", "rename:*=EINVAL,"])
    func `of two that store different files under one name the later one is refused`(fault: String) throws {
        let archive = try Archive()
        let name = "00000002.history"
        let (mine, theirs) = (archive.scratch.file("mine"), archive.scratch.file("theirs"))
        for (directory, text) in [(mine, "1\t0/3000000\tmine\n"), (theirs, "1\t0/4000000\ttheirs\n")] {
            try Files.makeDirectories(directory)
            chmod(directory, 0o755)
            try createDurably("\(directory)/\(name)", bytes: Array(text.utf8), mode: 0o644)
        }
        // The first push has found the name free and written its file; the other one is faster.
        let push = [try Executables.tidemark(), "archive-push", "--config", archive.configuration]
        let finished = try Gate(at: "\(fault)fsync:.\(name)").run(
            push[0], push.dropFirst() + ["\(mine)/\(name)"],
            meanwhile: "env -u TIDEMARK_FAULT \(push.joined(separator: " ")) '\(theirs)/\(name)' && echo stored")
        #expect(finished.output == "stored\n", "\(finished)")
        #expect(finished.ending == .exited(1) && finished.errors.contains("with different contents"), "\(finished)")
        #expect(fault.isEmpty || finished.errors.contains("fault: rename "), "\(finished)")
        try archive.get(name, to: archive.scratch.file("got"), expectSuccess: true)
        #expect(try Files.readText(archive.scratch.file("got")) == "1\t0/4000000\ttheirs\n")
        // Without a competitor it is stored.
        let other = "\(mine)/00000003.history"
        try Files.rename("\(mine)/\(name)", to: other)
        try archive.push(other, fault: fault + "trace", expectSuccess: true)
        try archive.get("00000003.history", to: archive.scratch.file("got"), expectSuccess: true)
        let left = try run("/usr/bin/find", [archive.repository, "-name", ".*"]).output
        #expect(left == "")
    }
}
