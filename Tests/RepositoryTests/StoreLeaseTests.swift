import Glibc
import Platform
import Support
import Synchronization
import Testing

@testable import Repository

/// A clock that goes on when it is told to; in microseconds.
final class Hand: Sendable {
    private let time = Atomic<Int64>(1_790_000_000_000_000)
    var now: Int64 { time.load(ordering: .sequentiallyConsistent) }
    func pass(seconds: Int64) { time.wrappingAdd(seconds * 1_000_000, ordering: .sequentiallyConsistent) }
}

private let folder = RepositoryKey("main/15-1/backup")!
private let leases = RepositoryKey("main/15-1/lease/backup/lock")!

/// A process that nobody here can see.
func elsewhere(_ number: pid_t = 4711) -> ProcessIdentity {
    ProcessIdentity(host: "db2", boot: "8f5a", namespace: 1, process: number, started: 100)
}

extension LockAttempt {
    fileprivate var lock: (any StoreLock)? { if case .taken(let lock) = self { lock } else { nil } }
    fileprivate var owner: LockOwner? { if case .refused(let owner) = self { owner } else { nil } }
}

/// Two or more hosts at one store, with a clock that the test advances.
private struct Hosts {
    let store = MemoryStore()
    let hand = Hand()
    /// The difference between the clocks of the store's machines, in seconds.
    let offset = Atomic2()

    init() throws {
        store.set { [hand, offset] in hand.now + offset.seconds * 1_000_000 }
        try store.create(folder.appending("object"), bytes: [])
    }

    /// - Parameter wall: the error of this host's clock in seconds.
    func locks(_ process: ProcessIdentity = .current, wall: Int64 = 0) -> LeaseLocks {
        LeaseLocks(in: store, terms(wall), of: process)
    }

    func terms(_ wall: Int64 = 0) -> LeaseLocks.Terms {
        var terms = LeaseLocks.Terms()
        // The test itself renews.
        terms.renewal = 1 << 40
        terms.now = { [hand] in hand.now + wall * 1_000_000 }
        terms.elapsed = { [hand] in UInt64(hand.now) * 1000 }
        return terms
    }

    func take(_ locks: LeaseLocks, isShared: Bool = false) throws -> LockAttempt {
        try locks.lock("lock", in: folder, isShared: isShared, patience: 0, makesFolder: true)
    }

    /// A lease held without a thread, as by a process that is killed later.
    func hold(_ process: ProcessIdentity, wall: Int64 = 0, isShared: Bool = false) throws -> HeldLease {
        let terms = terms(wall)
        let held = HeldLease(
            LeaseName(isShared: isShared, seconds: terms.length / 1000, now: terms.now()),
            of: LockOwner(process, purpose: "tidemark backup", since: "2026-11-30T00:00:00Z"), on: "lock", in: leases,
            of: store, terms)
        try held.claim()
        return held
    }

    var names: [String] { get throws { try store.list(leases).map(\.name) } }
}

private final class Atomic2: Sendable {
    private let value = Atomic<Int64>(0)
    var seconds: Int64 {
        get { value.load(ordering: .sequentiallyConsistent) }
        set { value.store(newValue, ordering: .sequentiallyConsistent) }
    }
}

@Suite struct StoreLeaseTests {
    @Test func `a lease names its owner, in its object and in a refusal`() throws {
        let hosts = try Hosts()
        let held = try hosts.hold(elsewhere(), wall: 5)
        let name = try #require(try hosts.names.first.flatMap { LeaseName($0) })
        #expect(name.seconds == 120 && !name.isShared && name.number == 1)
        let document = try #require(try hosts.store.document(.lease, at: leases.appending(name.description)))
        let text = String(decoding: document.bytes, as: UTF8.self)
        for line in [
            #""kind" : "lease""#, #""host" : "db2""#, #""process" : "4711""#, #""purpose" : "tidemark backup""#,
            #""since" : "2026-11-30T00:00:00Z""#, #""expires" : "2026-09-21T"#,
        ] {
            #expect(text.contains(line), "\(text)")
        }
        let owner = try hosts.take(hosts.locks()).owner
        #expect(owner?.process == elsewhere())
        #expect(owner?.description == #"process 4711 on host "db2" (tidemark backup), since 2026-11-30T00:00:00Z"#)
        withExtendedLifetime(held) {}
    }

    /// At every second: another process may take the lease only after the owner has been told that it is lost.
    @Test(arguments: [-86_400, 0, 86_400] as [Int64], [-59, 0, 59] as [Int64])
    func `a lease of another host is taken when its time is over, whatever the hosts' clocks show, and not before`(
        wall: Int64, stamps: Int64
    ) throws {
        let hosts = try Hosts()
        let held = try hosts.hold(elsewhere(), wall: wall)
        // The store has several machines, whose clocks differ by less than the bound.
        hosts.offset.seconds = stamps
        var taken: Int64?
        for second in 0..<300 as Range<Int64> {
            if let lock = try hosts.take(hosts.locks(wall: -wall)).lock {
                taken = second
                #expect(throws: LockLost(lock: "lock")) { try held.confirm() }
                #expect(try hosts.names.count == 1)
                try lock.confirm()
                break
            }
            // While its owner relies on it nobody else has it.
            #expect((try? held.confirm()) == nil || second <= 120)
            hosts.hand.pass(seconds: 1)
        }
        #expect(taken == 181 - stamps)
    }

    @Test func `a renewed lease never expires, and has two objects`() throws {
        let hosts = try Hosts()
        let held = try hosts.hold(elsewhere())
        for step in 1...20 {
            hosts.hand.pass(seconds: 100)
            #expect(try held.renew())
            try held.confirm()
            #expect(try hosts.names.compactMap { LeaseName($0)?.number } == [step, step + 1])
            #expect(try hosts.take(hosts.locks()).lock == nil && hosts.locks().isLocked("lock", in: folder))
        }
        held.release()
        #expect(try hosts.names == [] && !hosts.locks().isLocked("lock", in: folder))
    }

    @Test func `a renewal that fails is tried again until it is too late`() throws {
        let hosts = try Hosts()
        let held = try hosts.hold(elsewhere())
        hosts.hand.pass(seconds: 60)
        hosts.store.fail(with: Hiccup())
        #expect(throws: Hiccup()) { try held.renew() }
        #expect(throws: Hiccup()) { try held.renew() }
        try held.confirm()
        hosts.store.fail(with: nil)
        #expect(try held.renew())
        #expect(try hosts.names.compactMap { LeaseName($0)?.number } == [1, 4])
        hosts.store.fail(with: Hiccup())
        hosts.hand.pass(seconds: 119)
        try held.confirm()
        hosts.hand.pass(seconds: 1)
        #expect(throws: LockLost.self) { try held.confirm() }
        hosts.store.fail(with: nil)
        // It can't be renewed any more, and blocks nobody.
        #expect(try !held.renew())
        #expect(throws: LockLost.self) { try held.confirm() }
        #expect(try hosts.names == [] && hosts.take(hosts.locks()).lock != nil)
    }

    @Test func `a renewal that arrives too late doesn't count`() throws {
        let hosts = try Hosts()
        let held = try hosts.hold(elsewhere())
        hosts.hand.pass(seconds: 119)
        // Requested in time, but stored when others may have found the lease over.
        hosts.store.set { [hand = hosts.hand] in
            hand.pass(seconds: 100)
            return hand.now
        }
        #expect(try !held.renew())
        #expect(throws: LockLost.self) { try held.confirm() }
        #expect(try hosts.names == [])
    }

    @Test func `an owner whose lease was taken away learns that from his next renewal`() throws {
        let hosts = try Hosts()
        let held = try hosts.hold(elsewhere())
        for name in try hosts.names { try hosts.store.remove(leases.appending(name)) }
        hosts.hand.pass(seconds: 40)
        #expect(try !held.renew())
        #expect(throws: LockLost.self) { try held.confirm() }
        #expect(try hosts.names == [])
    }

    @Test func `of an expired lease only the listed objects are removed`() throws {
        let hosts = try Hosts()
        let held = try hosts.hold(elsewhere(), isShared: true)
        let living = try hosts.hold(elsewhere(4712), isShared: true)
        for _ in 0..<5 {
            hosts.hand.pass(seconds: 40)
            #expect(try living.renew())
        }
        // The first is over, the second isn't.
        #expect(try hosts.take(hosts.locks()).owner?.process == elsewhere(4712))
        #expect(try hosts.names.compactMap { LeaseName($0)?.number } == [5, 6])
        #expect(throws: LockLost.self) { try held.confirm() }
        living.release()
        #expect(try hosts.take(hosts.locks()).lock != nil)
    }

    @Test func `on this host a dead process holds no lease, and a living one keeps its own`() throws {
        let hosts = try Hosts()
        let own = ProcessIdentity.current
        #expect(!own.isGone && own.started > 0 && !elsewhere().isGone)
        func changed(
            boot: String = own.boot, namespace: UInt64 = own.namespace, process: pid_t = own.process,
            started: UInt64 = own.started
        ) -> ProcessIdentity {
            ProcessIdentity(
                host: own.host, boot: boot, namespace: namespace, process: process, started: started)
        }
        // Another process of that number, and none; and one that can't be seen from here.
        for (other, isGone) in [
            (changed(started: own.started + 1), true), (changed(process: .max), true), (changed(), false),
            (changed(boot: "x", process: .max), false), (changed(namespace: 1, process: .max), false),
            (changed(boot: "", process: .max), false), (changed(process: .max, started: 0), false),
        ] {
            let held = try hosts.hold(other)
            #expect(other.isGone == isGone, "\(other)")
            #expect(try hosts.locks().isLocked("lock", in: folder) != isGone, "\(other)")
            #expect(try hosts.names.count == 1)
            #expect(try (hosts.take(hosts.locks()).lock != nil) == isGone, "\(other)")
            held.release()
        }
    }

    @Test func `damaged and foreign objects hold nothing up for longer than their time`() throws {
        let hosts = try Hosts()
        let name = LeaseName(isShared: false, seconds: 120, now: hosts.hand.now).description
        try hosts.store.create(leases.appending(name), bytes: [1, 2, 3])
        try hosts.store.create(leases.appending("something"), bytes: [1])
        #expect(try hosts.take(hosts.locks()).lock == nil)
        hosts.hand.pass(seconds: 181)
        // A process that only looks uses its own clock.
        #expect(try hosts.locks(wall: -1).isLocked("lock", in: folder) && !hosts.locks().isLocked("lock", in: folder))
        #expect(try hosts.take(hosts.locks()).lock != nil)
        #expect(try hosts.names == ["something"])
    }

    @Test func `a process that doesn't find its lease in the listing has none`() throws {
        let hosts = try Hosts()
        let blind = InterceptedStore(hosts.store, Blind())
        #expect(throws: LockLost.self) {
            try LeaseLocks(in: blind, hosts.terms()).lock(
                "lock", in: folder, isShared: false, patience: 0, makesFolder: true)
        }
        #expect(try hosts.names == [])
    }

    /// A store that loses objects before they are listed.
    private struct Blind: Interception {
        func around<Value>(
            _ verb: StoreVerb, after aftermath: () throws -> Aftermath<Value>, _ body: () throws -> Value
        ) throws -> Value {
            let value = try body()
            return verb == .list ? ([RepositoryEntry]() as? Value) ?? value : value
        }
    }

    @Test func `a thread renews a lock for as long as it is held`() throws {
        let hosts = try Hosts()
        var terms = LeaseLocks.Terms()
        terms.renewal = 1
        var lock = try LeaseLocks(in: hosts.store, terms).lock(
            "lock", in: folder, isShared: false, patience: 0, makesFolder: true
        ).lock
        try #require(lock != nil)
        try wait(for: "five renewals") { try hosts.names.contains { LeaseName($0).map { $0.number > 5 } == true } }
        try lock?.confirm()
        lock = nil
        #expect(try hosts.names == [])
    }

    /// What threads and processes do with a lock: exclusively, or shared with others.
    enum Place: String, CaseIterable { case memory, directory }

    @Test(arguments: Place.allCases)
    func `of many threads one has it alone, or some together`(_ place: Place) throws {
        let scratch = try Scratch()
        let store: any ObjectStore =
            place == .memory ? MemoryStore() : DirectoryStore(try scratch.repository(of: "main/15-1"))
        let locks = LeaseLocks(in: store)
        /// The current exclusive and shared holders.
        let holders = Mutex((alone: 0, together: 0, times: 0))
        try mapInOrder(
            Array(0..<60), workers: 8, ahead: 60,
            transform: { index in
                let isShared = index % 3 != 0
                let attempt = try locks.lock(
                    "lock", in: folder, isShared: isShared, patience: 3_000_000, makesFolder: true)
                guard case .taken(let lock) = attempt else {
                    Issue.record("\(attempt)")
                    return
                }
                holders.withLock {
                    if isShared { $0.together += 1 } else { $0.alone += 1 }
                    $0.times += 1
                    #expect($0.alone == 0 || $0.alone == 1 && $0.together == 0, "\($0)")
                }
                _ = try store.list(leases)
                try lock.confirm()
                holders.withLock { if isShared { $0.together -= 1 } else { $0.alone -= 1 } }
            }, consume: { _ in })
        #expect(holders.withLock { $0.times } == 60)
        #expect(try store.list(leases) == [])
    }

    /// Runs in a child process of the next test; does nothing otherwise.
    @Test func `a process of the next test at work`() throws {
        guard let path = getenv("TIDEMARK_LEASE_WORK").map({ String(cString: $0) }) else { return }
        let locks = LeaseLocks(in: DirectoryStore(path))
        // It is killed at some time, or its parent.
        let parent = getppid()
        for round in 0... {
            guard getppid() == parent else { return }
            let attempt = try locks.lock(
                "lock", in: folder, isShared: false, patience: 3_000_000, makesFolder: true)
            guard case .taken(let lock) = attempt else { return }
            // No other process may be in here. A process killed in here leaves its file; only files of dead ones are
            // found.
            let file = path + "/inside/\(getpid())-\(round)"
            try createDurably(file, bytes: [])
            for name in try Files.list(path + "/inside") where name != Files.name(file) && !name.hasPrefix(".") {
                let process = name.prefix { $0 != "-" }
                if kill(pid_t(process) ?? 0, 0) == 0 { try createDurably(path + "/clash-\(name)", bytes: []) }
                try Files.removeIfPresent(path + "/inside/" + name)
            }
            try lock.confirm()
            try Files.removeIfPresent(file)
            try createDurably(path + "/done/\(getpid())-\(round)", bytes: [])
        }
    }

    @Test func `of many processes one has it, and killed ones block nobody`() throws {
        let scratch = try Scratch()
        let path = try scratch.repository(of: "main/15-1")
        for name in ["inside", "done"] { try Files.makeDirectories(path + "/" + name) }
        var environment = ["TIDEMARK_LEASE_WORK": path, "PATH": "/usr/bin:/bin", "SWIFT_BACKTRACE": "enable=no"]
        for name in ["LD_LIBRARY_PATH", "TMPDIR"] { environment[name] = getenv(name).map { String(cString: $0) } }
        let program = try Files.readLink("/proc/self/exe")
        let finished = Mutex<[Finished.TerminationStatus]>([])
        let children = try (0..<4).map { _ in
            try Worker { [environment] in
                let child = try? run(
                    program, ["--testing-library", "swift-testing", "--filter", "a process of the next test at work"],
                    environment: environment)
                finished.withLock { $0.append(child?.ending ?? .exited(-1)) }
            }
        }
        func done() throws -> [pid_t: Int] {
            try Files.list(path + "/done").reduce(into: [:]) { counts, name in
                if !name.hasPrefix("."), let process = pid_t(name.prefix { $0 != "-" }) {
                    counts[process, default: 0] += 1
                }
            }
        }
        // One after the other is killed wherever it is; the others continue.
        var killed: Set<pid_t> = []
        for left in (1...4).reversed() {
            var before = try done()
            try wait(for: "\(left) processes at work") {
                try done().filter { !killed.contains($0.key) && $0.value > before[$0.key, default: 0] }.count == left
            }
            before = try done()
            let victim = try #require(before.keys.filter { !killed.contains($0) }.min())
            kill(victim, SIGKILL)
            killed.insert(victim)
        }
        for child in children { child.join() }
        #expect(finished.withLock { $0 } == [Finished.TerminationStatus](repeating: .signalled(SIGKILL), count: 4))
        #expect(try Files.list(path).filter { $0.hasPrefix("clash") } == [])
        // Nothing is left that blocks anybody.
        let store = DirectoryStore(path)
        #expect(try store.list(leases).count <= 8)
        #expect(
            try LeaseLocks(in: store).lock("lock", in: folder, isShared: false, patience: 0, makesFolder: true).lock
                != nil)
        #expect(try store.list(leases) == [])
    }
}
