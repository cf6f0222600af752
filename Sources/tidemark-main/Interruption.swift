import Archiving
import Configuration
import DataDirectory
import Documents
import Glibc
import Jobs
import Operations
import Platform
import Recovery
import Repository
import Restoring
import Synchronization
import WAL

/// Handles a signal that asks a command to end: SIGINT, SIGTERM, SIGHUP, or another that would end it.
///
/// The process executes its own program again, with the same arguments: the kernel ends all other threads first. So all
/// work has stopped before anything is cleaned up: nothing is retried, and no other thread works in what is removed.
enum Interruption {
    /// What the interrupted command leaves behind, passed in the environment.
    struct Remains: Codable {
        /// The process ID, which exec keeps: the values of any other process are ignored.
        var process = getpid()
        /// The directory of a recovery under way.
        var directory: String?
        var audit: RecoveryAudit.Reference?
        /// Files that were being written.
        var temporaries: [String] = []
        /// Permanent results, as sentences.
        var outcomes: [String] = []
        /// Whether it was in the middle of its last step.
        var isInDoubt = false
        /// The job, unless it has been recorded already.
        var job: Job?
    }

    struct Job: Codable {
        var kind: JobKind
        /// In microseconds since 1970.
        var started: Int64
        var facts: [String: String] = [:]
    }

    private static let remains = Mutex(Remains())
    /// The current job's notes.
    private static let notes = Mutex<JobNotes?>(nil)
    private static let variable = "TIDEMARK_INTERRUPTED"
    /// How long an interruption waits for a last step. A commit that waits for a standby may never end.
    private static let patience = 10_000

    /// The signals that would end a process and can be waited for. Those of a fault in the program are not among them.
    private static let signals: [Int32] =
        [
            SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGUSR1, SIGUSR2, SIGXCPU, SIGVTALRM, SIGPROF, SIGPOLL, SIGPWR,
            SIGSTKFLT,
        ] + (__libc_current_sigrtmin()...__libc_current_sigrtmax())

    /// Waits for these signals from now on; except those that the parent has set to be ignored, as nohup(1) does.
    /// Must be called before there is another thread.
    static func watch(_ line: [String]) {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in self.signals where !isIgnored(signal) { sigaddset(&signals, signal) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        let watcher = try? Worker { [signals] in
            var caught: Int32 = 0
            var waited = signals
            while sigwait(&waited, &caught) != 0 {}
            isCaught.store(true, ordering: .releasing)
            beginAnew(line)
        }
        if watcher == nil { pthread_sigmask(SIG_UNBLOCK, &signals, nil) }
    }

    private static let isCaught = Atomic<Bool>(false)

    /// Called when the command is about to end. A later interruption has no effect; after an earlier one this doesn't
    /// return, so that a command which fails because of it prints nothing.
    static func comesTooLate() {
        var pending = sigset_t()
        sigpending(&pending)
        // A signal that is ignored and blocked stays pending for ever.
        let isPending =
            left == nil && signals.contains { !isIgnored($0) && sigismember(&pending, $0) == 1 }
        while isPending || isCaught.load(ordering: .acquiring) { Clock.sleep(milliseconds: 1000) }
        LastStep.begin()
    }

    static func note(_ recovery: RecoveryRemains) {
        remains.withLock {
            $0.directory = recovery.directory
            $0.audit = recovery.audit
        }
    }

    /// Records that the command is a job; a job within another one isn't recorded.
    static func note(_ kind: JobKind, since started: Moment, _ job: JobNotes) {
        remains.withLock { remains in
            guard remains.job == nil else { return }
            remains.job = Job(kind: kind, started: started.microseconds)
            notes.withLock { $0 = job }
        }
    }

    /// Its record is written, or it needs none.
    static func noteRecorded(_ job: JobNotes) {
        guard notes.withLock({ $0 === job }) else { return }
        remains.withLock { $0.job = nil }
    }

    private static func isIgnored(_ signal: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(signal, nil, &action) == 0 else { return false }
        // SIG_IGN is the address 1.
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
    }

    private static func beginAnew(_ line: [String]) -> Never {
        let isWhole = LastStep.wait(milliseconds: patience)
        var left = remains.withLock { $0 }
        left.outcomes = LastStep.outcomes
        left.temporaries = Temporaries.open
        left.isInDoubt = !isWhole
        left.job?.facts = notes.withLock { $0 }?.all ?? [:]
        let text = (try? encodeJSON(left, pretty: false)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
        var surroundings: [UnsafeMutablePointer<CChar>?] = [strdup("\(variable)=\(text)")]
        // A test's fault is meant for the command, not for its cleanup.
        var entry = environ
        while let word = entry.pointee {
            if strncmp(word, "TIDEMARK_FAULT=", 15) != 0 { surroundings.append(word) }
            entry += 1
        }
        let words = line.map { strdup($0) } + [nil]
        execve("/proc/self/exe", words, surroundings + [nil])
        var log = Log()
        log.threshold = .error
        log(.error, "interrupted", hint: "\"\(runnable("tidemark clean"))\" removes what is left.")
        _exit(ExitStatus.interrupted.rawValue)
    }

    /// Nil unless the command was interrupted.
    static let left: Remains? = getenv(variable).flatMap {
        guard let remains = try? decodeJSON(Remains.self, from: Array(String(cString: $0).utf8)),
            remains.process == getpid()
        else { return nil }
        return remains
    }

    /// Ends an interrupted command: stops its programs, and removes its temporary files.
    static func conclude(_ invocation: Invocation, _ command: Grammar, _ left: Remains) -> ExitStatus {
        if isatty(2) == 1 { _ = write(2, "\r\u{1B}[K", 4) }
        unsetenv(variable)
        // A server that a recovery has just started must continue; pg_ctl needs a second or two to start it.
        endChildren(after: left.directory == nil ? 0 : 5000)
        var detail = left.outcomes
        var done = left.outcomes
        var hint: String?
        if left.isInDoubt { detail.append("It was in its last step, which may or may not have been completed.") }
        for file in left.temporaries { try? Files.removeTree(file) }
        let cluster = try? invocation.becomeOwner()
        if let cluster {
            if let audit = left.audit {
                let store = cluster.openRepository().store
                try? RecoveryAudit(audit, in: store)?.end(result: "interrupted")
            }
            do { try ScratchDirectory.reclaim(in: cluster.scratchDirectory, of: getpid()) } catch {
                detail.append(
                    "Its temporary cluster could not be removed: \((error as? any Explained)?.message ?? "\(error)").")
                hint = "\"\(runnable("tidemark clean"))\" removes it."
            }
        }
        var message = "\"tidemark \(command.command)\" was interrupted"
        if let directory = left.directory {
            message = "the recovery into \"\(directory)\" was interrupted"
            if (try? isUnfinishedRestore(directory)) == true {
                detail.append(UnfinishedRestore.remains(in: directory))
            } else if (try? DataDirectory(directory).runningServer()) != nil {
                detail.append("The server continues to recover by itself.")
                done.append("The server continues to recover by itself.")
            }
            let isUnderWay =
                cluster.map { cluster in
                    (try? RecoveryState(of: directory, in: cluster.state)) ?? nil != nil
                } ?? true
            if isUnderWay {
                hint = "Continue with \"\(resumeCommand(directory))\"."
            } else if (try? isUnfinishedRestore(directory)) == true {
                hint = "Its progress could not be recorded: run the same command again, or remove the directory."
            } else if (try? Files.exists(directory + "/PG_VERSION")) == false {
                hint = "Nothing was done yet; the same command again starts the recovery."
            }
        } else if left.outcomes.isEmpty, !left.isInDoubt, hint == nil {
            hint = again[command.command]
        }
        // Permanent results belong in the history.
        if let job = left.job, !done.isEmpty {
            JobWatch.recordInterrupted(job, "interrupted. \(done.joined(separator: " "))", invocation)
        }
        invocation.log(
            .error, message, detail: detail.isEmpty ? nil : detail.joined(separator: " "), hint: hint)
        return .interrupted
    }

    /// What repeating an interrupted command does.
    private static let again = [
        "backup": "\"\(runnable("tidemark backup --resume"))\" reuses what has been stored.",
        "verify": "The next \"\(runnable("tidemark verify"))\" continues where this one stopped.",
        "expire": "The next \"\(runnable("tidemark expire"))\" removes the rest.",
        "import": "The same command again imports the rest.",
    ]

    /// Ends programs that the command waited for; detached ones have sessions of their own.
    private static func endChildren(after milliseconds: Int) {
        func children() -> [pid_t] {
            let own = getpid()
            let text = (try? Files.readText("/proc/\(own)/task/\(own)/children")) ?? ""
            return text.split(separator: " ").compactMap { pid_t($0) }.filter { getsid($0) == getsid(0) }
        }
        var waited = 0
        while !children().isEmpty && waited < milliseconds {
            while waitpid(-1, nil, WNOHANG) > 0 {}
            Clock.sleep(milliseconds: 20)
            waited += 20
        }
        for child in children() {
            kill(child, SIGKILL)
            waitpid(child, nil, 0)
        }
    }
}
