import Glibc
import Platform
import Support
import Testing

@testable import Repository

/// Every system call of every verb of a directory store fails, one at a time: the verb throws, and then nothing is
/// reported as absent, done or free that isn't; or it does without the call, and its result is the same.
@Suite struct DirectoryStoreFaultTests {
    enum Verb: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case create, replace, read, size, list, mark, makeDurable, leftovers, removeLeftovers, move, remove, removeMany
        case removeAll, lock, isLocked, capacity

        var testDescription: String { rawValue }

        static let folder = RepositoryKey("main/15-1/wal/00000001")!
        static let object = folder.appending("object")
        static let damaged = folder.appending("damaged")
        static let moved = RepositoryKey("main/15-1/aside/1/object")!

        static func prepare(_ store: DirectoryStore) throws {
            for name in ["object", "other"] { try store.create(folder.appending(name), bytes: [7]) }
            try store.create(damaged, bytes: [0])
            try store.create(folder.appending("deep").appending("object"), bytes: [7])
            let name = temporaryName(for: store.path(folder) + "/object")
            try createDurably(name.replacing("-\(getpid()).", with: "-\(Int32.max)."), bytes: [1, 2, 3])
            // So that the folder has a change mark.
            var times = [timespec(tv_sec: 1, tv_nsec: 0), timespec(tv_sec: 1, tv_nsec: 0)]
            try #require(utimensat(AT_FDCWD, store.path(folder), &times, 0) == 0)
        }

        /// Performs the verb once, and returns what it says.
        func perform(_ store: DirectoryStore) throws -> String {
            switch self {
            case .create: try store.create(Self.folder.appending("new"), bytes: [8])
            case .replace:
                let writer = try store.begin(Self.damaged, replacing: Replacement(keeping: Self.moved) { $0.size == 1 })
                try [UInt8]([8]).withUnsafeBytes { try writer.append($0) }
                try writer.commit()
            case .read: return "\(try store.read(Self.object))"
            case .size: return "\(String(describing: try store.size(of: Self.object)))"
            case .list:
                // The leftover's number is another one each time.
                return try store.list(Self.folder).map { "\($0.name) \(String(describing: $0.size))" }.joined()
            case .mark: return "\(try store.changeMark(of: Self.folder) != nil)"
            case .makeDurable: try store.makeDurable(Self.object)
            case .leftovers: return try store.leftovers(in: Self.folder).map { "\($0.size)" }.joined()
            case .removeLeftovers: return "\(try store.removeLeftovers(in: Self.folder).count)"
            case .move: try store.move(Self.object, to: Self.moved)
            case .remove: try store.remove(Self.object)
            case .removeMany:
                var removal = store.removal()
                try removal.hold(Self.folder)
                var failures: [any Error] = []
                removal.remove([Self.object, Self.folder.appending("other")]) { failures.append($1) }
                if let first = failures.first { throw first }
            case .removeAll: try store.removal().removeAll(in: Self.folder)
            case .lock:
                let attempt = try store.lock(
                    "lock", in: Self.folder, isShared: false, patience: 0, makesFolder: true)
                guard case .taken(let lock) = attempt else { return "\(attempt)" }
                try lock.confirm()
                return "taken"
            case .isLocked: return "\(try store.isLocked("lock", in: Self.folder))"
            case .capacity: return "\(try store.capacity() != nil)"
            }
            return "done"
        }

        /// What is wrong with the objects afterwards; nil when nothing is.
        func fault(in store: DirectoryStore, isDone: Bool) throws -> String? {
            func content(_ key: RepositoryKey) throws -> [UInt8]? { try store.readIfPresent(key) }
            let (object, damaged, moved) = try (
                content(Self.object), content(Self.damaged), content(Self.moved)
            )
            let new = try content(Self.folder.appending("new"))
            guard [[7], nil].contains(object), [[0], [8], nil].contains(damaged), [[8], nil].contains(new) else {
                return "a part is visible"
            }
            switch self {
            case .create: if isDone && new == nil { return "it isn't there" }
            case .replace:
                if damaged == nil || damaged == [8] && moved != [0] { return "the damaged object is lost" }
                if isDone && damaged != [8] { return "it isn't replaced" }
            case .move:
                if object == nil && moved != [7] { return "it is lost" }
                if isDone && (object != nil || moved == nil) { return "it isn't moved" }
            case .remove, .removeMany, .removeAll: if isDone && object != nil { return "it is there" }
            case .removeLeftovers, .read, .size, .list, .mark, .makeDurable, .leftovers, .lock, .isLocked, .capacity:
                break
            }
            let mayRemove = [.remove, .removeMany, .removeAll, .move].contains(self)
            if !mayRemove && object == nil || self != .removeAll && damaged == nil { return "another object is gone" }
            // Only what was there before: this process, which has ended, leaves nothing of its own.
            let left = try store.leftovers(in: Self.folder).filter { $0.size != 3 }
            return left.isEmpty ? nil : "it leaves something"
        }
    }

    /// Performs a verb in a process of its own.
    /// - Returns: the calls it made, such as "open", and what it said; nil when it threw.
    @discardableResult
    private func perform(_ verb: Verb, faults: String) async throws -> (calls: [String], answer: String?) {
        let scratch = try Scratch()
        let store = DirectoryStore(try scratch.repository(of: "main/15-1"))
        try Verb.prepare(store)
        let result = try await #require(
            processExitsWith: .success, observing: [\.standardErrorContent]
        ) { [name = verb.rawValue as String, place = store.location as String, faults = faults as String] in
            setenv("TIDEMARK_FAULT", faults, 1)
            let said: String
            do { said = "answer: \(try Verb(rawValue: name)!.perform(DirectoryStore(place)))" } catch let error
                as ObjectAbsent
            { said = "wrong: \(error)" } catch let error as ObjectExists { said = "wrong: \(error)" } catch {
                said = "failed: \(error)"
            }
            _ = "\(said)\n".withCString { write(2, $0, strlen($0)) }
        }
        let said = String(decoding: result.standardErrorContent, as: UTF8.self).split(separator: "\n").map(String.init)
        #expect(!said.contains { $0.hasPrefix("wrong: ") }, "\(verb) with \(faults): \(said)")
        let answer = said.first { $0.hasPrefix("answer: ") }
        #expect(answer != nil || said.contains { $0.hasPrefix("failed: ") }, "\(verb) with \(faults): \(said)")
        let fault = try verb.fault(in: store, isDone: answer != nil)
        #expect(fault == nil, "\(verb) with \(faults): \(said.joined(separator: "\n"))")
        return (said.filter { $0.hasPrefix("trace: ") }.map { String($0.split(separator: " ")[1]) }, answer)
    }

    @Test(arguments: Verb.allCases)
    func `a call that fails is never taken for an answer`(_ verb: Verb) async throws {
        let (calls, answer) = try await perform(verb, faults: "trace")
        try #require(answer != nil && !calls.isEmpty)
        for number in 1...calls.count {
            let (_, other) = try await perform(verb, faults: "trace,any:\(number)=EIO")
            // What can't be examined or removed is left for the next time.
            if let other, [.leftovers, .removeLeftovers].contains(verb) {
                #expect([answer, "answer: ", "answer: 0"].contains(other), "call \(number), \(calls[number - 1])")
                continue
            }
            #expect(other == nil || other == answer, "\(verb), call \(number), \(calls[number - 1])")
        }
        // What must be durable isn't done when it isn't known to be.
        for call in ["fsync", "rename"] where calls.contains(call) {
            let (_, other) = try await perform(verb, faults: "trace,\(call):*=EIO")
            #expect(other == nil, "\(verb): \(call)")
        }
    }
}
