import Glibc
import Platform
import Support
import Testing

/// tidemark's own work on files: every system call fails, is interrupted, transfers half of what it could, or is the
/// last one of the process.
@Suite struct FaultedCallTests {
    /// Work of Platform below a directory which `prepare` has filled.
    enum Deed: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case create, createBelowHeldDirectory, replace, makeDirectories, removeTree, rename, link, look, stream, lock,
            furnish, run, share

        var testDescription: String { rawValue }

        static let old = [UInt8](repeating: 1, count: 5000)
        static let new = [UInt8](repeating: 2, count: 70_000)

        func prepare(_ place: String) throws {
            try createDurably(place + "/old", bytes: Deed.old)
            try Files.makeDirectories(place + "/tree/a/b")
            try createDurably(place + "/tree/a/b/c", bytes: Deed.old)
            try #require(symlink("../old", place + "/tree/link") == 0)
        }

        func perform(_ place: String) throws {
            switch self {
            case .create: try createDurably(place + "/far/away/new", bytes: Deed.new)
            case .createBelowHeldDirectory:
                let held = try HeldDirectory(place)
                let object = try NewFile(Place("far/away/new", in: held))
                try object.write { file, path in try Deed.new.withUnsafeBytes { try file.write($0, path: path) } }
                try object.commit()
            case .replace: try replaceDurably(place + "/old", bytes: Deed.new)
            case .makeDirectories: try Files.makeDirectories(place + "/far/away")
            case .removeTree: try Files.removeTree(place + "/tree")
            case .rename: try Files.rename(place + "/old", to: place + "/new")
            case .link: try Files.link(place + "/old", to: place + "/new")
            case .look:
                guard try Files.list(place).sorted() == ["old", "tree"], try Files.exists(place + "/old"),
                    try Files.exists(place + "/nothing") == false, try Files.read(place + "/old") == Deed.old,
                    try Files.readLink(place + "/tree/link") == "../old", try Files.space(at: place).free >= 0,
                    try Files.allocated(in: place + "/tree") > 0
                else { throw Problem("what is there was not found") }
                try Files.synchronizeFileSystem(of: place)
            case .stream:
                try createDurably(place + "/new") { file, temporary in
                    var stream = WriteStream()
                    try Deed.new.withUnsafeBytes { try stream.write($0, to: file, path: temporary) }
                    try file.truncate(to: 100_000, path: temporary)
                    try file.truncate(to: Int64(Deed.new.count), path: temporary)
                }
            case .lock:
                let file = try Descriptor(open: place + "/old", O_RDONLY)
                guard try file.tryLock(path: place + "/old") else { throw Problem("nobody else has the lock") }
                try file.close(path: place + "/old")
            case .furnish:
                try Files.makeLink(Place(place + "/tree/other"), to: "../old")
                try Files.changeMode(ofDirectory: Place(place + "/tree"), 0o700)
                guard !Files.deniesNewFiles(place + "/tree") else { throw Problem("its owner may write there") }
            case .run:
                let finished = try Platform.run("/bin/sh", ["-c", "echo done"])
                guard finished.output == "done\n" else { throw Problem("it said \(finished.output)") }
                guard processExists(getpid()) else { throw Problem("this process is there") }
            case .share:
                let work = Channel<Int>(capacity: 2)
                let sum = Monitor(0)
                try withWorkers(
                    3, { while let number = try work.receive() { sum.update { $0 += number } } },
                    cancel: { work.cancel($0) },
                    {
                        for number in 1...10 { try work.send(number) }
                        work.finish()
                    })
                guard sum.update({ $0 }) == 55 else { throw Problem("something was lost") }
            }
        }

        /// What is wrong with the files after the work succeeded, failed, or was cut off; nil when nothing is.
        func fault(in place: String, _ outcome: Outcome) throws -> String? {
            func content(_ name: String) throws -> [UInt8]? {
                try Files.exists(place + "/" + name) ? Files.read(place + "/" + name) : nil
            }
            let temporaries = try Platform.run("/usr/bin/find", [place, "-name", ".*.tmp"]).output
            if outcome != .cutOff && !temporaries.isEmpty { return "left \(temporaries)" }
            let (old, new) = try (
                content("old"),
                self == .create || self == .createBelowHeldDirectory
                    ? content("far/away/new") : content("new")
            )
            switch self {
            case .create, .createBelowHeldDirectory, .stream:
                if old != Deed.old { return "another file has changed" }
                if let new, new != Deed.new { return "a part is visible: \(new.count) bytes" }
                return outcome == .done && new == nil ? "the file isn't there" : nil
            case .replace:
                return old == Deed.new || outcome != .done && old == Deed.old ? nil : "\(old?.count ?? -1) bytes"
            case .makeDirectories:
                return try outcome != .done || Files.exists(place + "/far/away") ? nil : "nothing was made"
            case .removeTree:
                if old != Deed.old { return "a link's target is gone" }
                return try outcome != .done || !Files.exists(place + "/tree") ? nil : "something is left"
            case .rename:
                let count = [old, new].count { $0 == Deed.old }
                return count == 1 && (outcome != .done || new != nil) ? nil : "it is there \(count) times"
            case .link: return old == Deed.old && (new == Deed.old || outcome != .done && new == nil) ? nil : "no link"
            case .look, .lock, .furnish, .run, .share:
                return old == Deed.old ? nil : "what was only looked at has changed"
            }
        }
    }

    enum Outcome: Sendable { case done, failed, cutOff }

    /// Performs the work in a process of its own, and examines what it left.
    /// - Returns: how it ended, and its calls, such as "write".
    @discardableResult
    private func perform(_ deed: Deed, faults: String) async throws -> (outcome: Outcome, calls: [String]) {
        let scratch = try Scratch()
        try deed.prepare(scratch.path)
        let isKilled = faults.hasSuffix("kill")
        let result = try await #require(
            processExitsWith: isKilled ? .signal(SIGKILL) : .success, observing: [\.standardErrorContent]
        ) { [name = deed.rawValue as String, place = scratch.path as String, faults = faults as String] in
            setenv("TIDEMARK_FAULT", faults, 1)
            do { try Deed(rawValue: name)!.perform(place) } catch {
                _ = "failed: \(error)\n".withCString { write(2, $0, strlen($0)) }
            }
            // Waiting for another process takes one call less when that is quick.
            if faults.hasSuffix("kill") {
                _ = write(2, "finished\n", 9)
                kill(getpid(), SIGKILL)
            }
        }
        let said = String(decoding: result.standardErrorContent, as: UTF8.self).split(separator: "\n")
        let calls = said.filter { $0.hasPrefix("trace: ") }.map { String($0.split(separator: " ")[1]) }
        let isFinished = !isKilled || said.contains("finished")
        let outcome: Outcome = !isFinished ? .cutOff : said.contains { $0.hasPrefix("failed: ") } ? .failed : .done
        if isKilled, isFinished {
            let number = faults.split(separator: ":").last.flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
            #expect(calls.count < number, "\(deed) with \(faults) lives on: \(calls)")
        }
        let fault = try deed.fault(in: scratch.path, outcome)
        #expect(fault == nil, "\(deed) with \(faults) \(outcome): \(said.joined(separator: "\n"))")
        return (outcome, calls)
    }

    @Test(arguments: Deed.allCases)
    func `each of its calls may fail or be the last`(_ deed: Deed) async throws {
        let (outcome, calls) = try await perform(deed, faults: "trace")
        #expect(outcome == .done && !calls.isEmpty)
        for number in 1...max(calls.count, 1) {
            try await perform(deed, faults: "trace,any:\(number)=EIO")
            try await perform(deed, faults: "trace,any:\(number)=kill")
        }
    }

    @Test func `an interrupted or short call is made again`() async throws {
        for deed in Deed.allCases {
            for call in ["read", "write"] {
                for effect in ["EINTR", "short"] {
                    let (outcome, calls) = try await perform(deed, faults: "trace,\(call):1=\(effect)")
                    #expect(outcome == .done, "\(deed): \(call) \(effect): \(calls)")
                }
            }
        }
    }

    @Test func `every kind of call is made by one of these`() async throws {
        var made: Set<String> = []
        for deed in Deed.allCases { made.formUnion(try await perform(deed, faults: "trace").calls) }
        // The other calls are made by modules above, or never fail on their way.
        let elsewhere: Set<SystemCall> = [.changeOwner, .kernel]
        #expect(Set(SystemCall.allCases).subtracting(elsewhere).map { "\($0)" }.filter { !made.contains($0) } == [])
    }
}
