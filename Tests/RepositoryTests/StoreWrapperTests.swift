import Glibc
import Platform
import Repository
import Support
import Synchronization
import Testing
import WAL

@Suite struct StoreWrapperTests {
    /// A wrapper, and the store that it wraps.
    struct Wrapped: Sendable, CustomTestStringConvertible {
        let name: String
        let wrap: @Sendable (any ObjectStore) throws -> any ObjectStore
        var testDescription: String { name }
    }

    static let wrappers = [
        Wrapped(name: "counting") { InterceptedStore($0, Counting()) },
        // A segment of another timeline was put aside, and is served in its place.
        Wrapped(name: "putting back what was put aside") { store in
            let incarnation = Incarnation(cluster: "main", major: 15, systemIdentifier: 1)
            let timeline = TimelineID(10)
            try store.create(
                incarnation.asideFolder.appending("20261130T000000.000001Z-0000000A0000000000000001")
                    .appending("wal").appending("0000000A").appending("0000000A00000000")
                    .appending("0000000A0000000000000001.zst"), bytes: [1])
            let archive = ClusterArchive(incarnation, in: store)
            return try #require(try AsideStore(archive, timeline: timeline))
        },
        Wrapped(name: "limited") {
            InterceptedStore($0, RateLimited(RateLimit(bytesPerSecond: 1000, pause: { _ in })))
        },
        Wrapped(name: "retrying") { InterceptedStore($0, Retrying(pause: { _ in })) },
        Wrapped(name: "retrying what fails again and again") { store in
            // Either the answer is lost after the work was done, or the call never gets there; a commit that doesn't
            // get there can't be repeated, and removed leftovers are reported only once.
            let flaky = Flaky { verb, number in
                // Without a period that the retries could match.
                var random = SeededGenerator(seed: UInt64(number))
                let dice = Int.random(in: 0..<8, using: &random)
                return switch verb {
                case .commit: (false, dice < 4)
                case .removeLeftovers: (dice < 4, false)
                default: (dice < 1, dice > 6)
                }
            }
            return InterceptedStore(InterceptedStore(store, flaky), Retrying(patience: 600_000, pause: { _ in }))
        },
    ]

    @Test(arguments: wrappers) func `a wrapped store keeps the promises`(_ wrapped: Wrapped) throws {
        let memory = MemoryStore()
        try memory.create(RepositoryKey("main/15-1/incarnation.json")!, bytes: [])
        try StoreConformance(store: try wrapped.wrap(memory), leave: memory.leave, fail: memory.fail).check()
        let scratch = try Scratch()
        let directory = DirectoryStore(try scratch.repository(of: "main/15-1"))
        try StoreConformance(store: try wrapped.wrap(directory)) { bytes, folder in
            let name = temporaryName(for: directory.path(folder) + "/object")
            try createDurably(name.replacing("-\(Glibc.getpid()).", with: "-\(Int32.max)."), bytes: bytes)
        }.check()
    }

    private static let key = RepositoryKey("main/15-1/object")!

    /// A store that fails on request, behind one that retries.
    private func retrying(
        _ memory: MemoryStore, _ retrying: Retrying = Retrying(patience: 1000, pause: { _ in }),
        _ failures: @escaping @Sendable (StoreVerb, Int) -> (before: Bool, after: Bool)
    ) -> InterceptedStore {
        InterceptedStore(InterceptedStore(memory, Flaky(failures)), retrying)
    }

    @Test func `a commit whose answer was lost is checked, not repeated`() throws {
        let key = StoreWrapperTests.key
        // It took effect.
        var memory = MemoryStore()
        try retrying(memory) { verb, _ in (false, verb == .commit) }.create(key, bytes: [1, 2])
        #expect(try memory.read(key) == [1, 2])
        // It didn't: the caller may write the bytes again.
        memory = MemoryStore()
        #expect(throws: Hiccup()) {
            try retrying(memory) { verb, _ in (verb == .commit, false) }.create(key, bytes: [1])
        }
        #expect(try memory.readIfPresent(key) == nil)
        // Another writer's object of the same length is there.
        memory = MemoryStore()
        try memory.create(key, bytes: [3, 4])
        #expect(throws: Hiccup()) {
            try retrying(memory) { verb, _ in (verb == .commit, false) }.create(key, bytes: [1, 2])
        }
        #expect(try memory.read(key) == [3, 4])
    }

    @Test func `a call that keeps failing is given up, and so is a cancelled one`() throws {
        struct Stopped: Error {}
        let time = Atomic<UInt64>(0)
        let pauses = Atomic(0)
        func store(cancellation: @escaping @Sendable () throws -> Void) -> InterceptedStore {
            retrying(
                MemoryStore(),
                Retrying(
                    patience: 5000,
                    pause: {
                        time.wrappingAdd(UInt64($0) * 1_000_000, ordering: .relaxed)
                        pauses.wrappingAdd(1, ordering: .relaxed)
                    }, elapsed: { time.load(ordering: .relaxed) }, cancellation: cancellation)
            ) { _, _ in (true, false) }
        }
        #expect(throws: Hiccup()) { try store {}.list(.root) }
        // Pauses of 1, 2, 4 … 512 milliseconds, then of a second.
        #expect(time.load(ordering: .relaxed) >= 5_000_000_000 && pauses.load(ordering: .relaxed) == 14)
        #expect(throws: Stopped.self) {
            try store { if pauses.load(ordering: .relaxed) == 17 { throw Stopped() } }.list(.root)
        }
        #expect(pauses.load(ordering: .relaxed) == 17)
    }

    @Test func `permanent errors are not retried`() throws {
        let counting = Counting()
        let store = InterceptedStore(InterceptedStore(MemoryStore(), counting), Retrying(pause: { _ in }))
        #expect(throws: ObjectAbsent.self) { try store.open(StoreWrapperTests.key) }
        #expect(counting.calls == [.open: 1])
    }

    @Test func `calls and bytes are counted by verb`() throws {
        let counting = Counting()
        let store = InterceptedStore(MemoryStore(), counting)
        try store.create(StoreWrapperTests.key, bytes: [1, 2, 3])
        #expect(try store.read(StoreWrapperTests.key) == [1, 2, 3])
        _ = try store.list(.root)
        #expect(counting.calls == [.begin: 1, .commit: 1, .open: 1, .read: 1, .list: 1])
        #expect(counting.bytes == [.commit: 3, .read: 3])
    }

    @Test func `one rate limit covers all threads together`() throws {
        let time = Atomic<UInt64>(0)
        let memory = MemoryStore()
        let store = InterceptedStore(
            memory,
            RateLimited(
                RateLimit(
                    bytesPerSecond: 1000, pause: { time.wrappingAdd(UInt64($0) * 1_000_000, ordering: .relaxed) },
                    elapsed: { time.load(ordering: .relaxed) })))
        try store.create(StoreWrapperTests.key, bytes: [UInt8](repeating: 0, count: 2000))
        #expect(time.load(ordering: .relaxed) == 2_000_000_000)
        _ = try store.read(StoreWrapperTests.key)
        #expect(time.load(ordering: .relaxed) == 4_000_000_000)
        // What was announced isn't read ahead of the limit.
        try store.open(StoreWrapperTests.key).readAhead(at: 0, count: 2000)
        #expect(memory.announced == 0)
        try InterceptedStore(memory, Counting()).open(StoreWrapperTests.key).readAhead(at: 0, count: 2000)
        #expect(memory.announced == 2000)
    }

    @Test func `a commit whose fsync failed is neither repeated nor taken for done`() throws {
        for code in [EIO, ESTALE, ETIMEDOUT] {
            let memory = MemoryStore()
            let store = InterceptedStore(
                InterceptedStore(memory, LastStep(SystemError(.fsync, "object", code: code))),
                Retrying(pause: { _ in }))
            #expect(throws: SystemError(.fsync, "object", code: code)) {
                try store.create(StoreWrapperTests.key, bytes: [1])
            }
            #expect(try memory.exists(StoreWrapperTests.key))
        }
        // One whose answer was lost is made durable before it is reported as done.
        let counting = Counting()
        let memory = InterceptedStore(MemoryStore(), counting)
        let store = InterceptedStore(
            InterceptedStore(memory, LastStep(SystemError(.rename, "object", code: ETIMEDOUT))),
            Retrying(pause: { _ in }))
        try store.create(StoreWrapperTests.key, bytes: [1])
        #expect(counting.calls[.makeDurable] == 1 && counting.calls[.commit] == 1)
    }

    @Test func `opening an object brings its head along`() throws {
        let memory = MemoryStore()
        let segment = RepositoryKey("main/15-1/wal/1/1/000000010000000000000001.zst")!
        try memory.createSegment(
            segment, length: 8, presses: [SegmentPress(level: 3)],
            read: { buffer, _ in
                buffer.initializeMemory(as: UInt8.self, repeating: 1)
                return buffer.count
            }, inspect: { _ in }, head: { SegmentHead(rawLength: 8, digest: $0, summary: [1, 2, 3]) })
        try memory.create(StoreWrapperTests.key, bytes: [UInt8](repeating: 7, count: 60_000))
        func requests(_ body: () throws -> Void) rethrows -> Int {
            let before = memory.requests
            try body()
            return memory.requests - before
        }
        #expect(try requests { _ = try StoredSegment(segment, in: memory).head } == 1)
        #expect(try requests { _ = try memory.read(StoreWrapperTests.key) } == 1)
        // Without announcing what is read first, there are two requests.
        #expect(try requests { _ = try SegmentHead(of: memory.open(segment)) } == 2)
    }
}
