import Glibc
import Platform
import Support
import Testing

/// INT, TERM, HUP and KILL at a random call of the commands that change a site: nothing continues, what was there is
/// there, and a further call ends the work. (Others: InterruptionServerTests.)
@Suite(.serialized) struct InterruptedCommandServerTests {
    private static let isSoak = getenv("TIDEMARK_SOAK") != nil
    private static let signals = ["INT", "TERM", "HUP", "KILL"]

    private static let commands = EveryCommand.groups.flatMap(\.commands).filter {
        !$0.isReading && $0.arguments[0] != "init" && $0.arguments[0] != "notify"
    }

    @Test(arguments: commands)
    func `whenever a command is interrupted, nothing is lost, and a further call ends the work`(_ command: EveryCommand)
        throws
    {
        let place = try FaultedSite(command)
        let (before, old) = (try place.contents(), command.isRecovery ? try place.files(of: place.data) : "")
        let traced = try place.call(place.arguments, fault: "trace").errors
        // The first ones are made before the signals are handled.
        let calls = traced.split(separator: "\n").count { $0.hasPrefix("trace: ") } - 10
        try #require(calls > 10, "\(traced)")
        let seed = Self.isSoak ? UInt64(Clock.now) : 11
        print("\(command), interrupted: seed \(seed)")
        var generator = SeededGenerator(seed: seed)
        var caught = 0
        for round in 0..<(Self.isSoak ? 40 : 2) {
            try place.putBack()
            let signal = Self.signals[(round + command.arguments.count) % 4]
            let gate = try Gate(at: "any:\(Int.random(in: 10...calls, using: &generator))")
            let finished = try gate.run(
                "/usr/bin/env",
                ["--default-signal=INT,HUP", Executables.directory.get() + "/tidemark-main"] + place.arguments
                    + ["--config", place.site.configuration],
                meanwhile: """
                    kill -\(signal) $process
                    while kill -0 $process 2>/dev/null; do sleep 0.02; done
                    """)
            let said = "\(command), \(signal), seed \(seed), round \(round): \(finished.ending) \(finished.errors)"
            if gate.isReached {
                caught += 1
                #expect(finished.ending == .exited(signal == "KILL" ? 137 : 130), "\(said)")
                if signal != "KILL" {
                    #expect(finished.errors.contains("interrupted"), "\(said)")
                    let left = try place.shell("find repository state -name '.*.tmp'")
                    #expect(left == "" || command.arguments[0] == "clean", "\(left) \(said)")
                }
            }
            try wait(for: "the last process: \(said)") { try place.running().isEmpty }
            try place.kept(before, old, said)
            try place.again(said)
            try place.done(before, old, said)
        }
        #expect(caught > 0, "\(command): seed \(seed)")
    }

    /// Held where no call of tidemark's own waits. The second request is answered.
    @Test(arguments: signals)
    func `a receiver that doesn't answer holds up no signal, and the message stays`(_ signal: String) throws {
        let site = try TestSite(
            initdb: ["--wal-segsize=1"],
            configuration: [
                "[notify]", "webhook_url = 'http://127.0.0.1:1/x'", "events = all", "timeout = 600s", "attempts = 1",
            ])
        let listener = """
            import os, socket
            s = socket.socket(); s.bind(("127.0.0.1", 0)); s.listen()
            open("port.new", "w").write(str(s.getsockname()[1])); os.rename("port.new", "port")
            first = s.accept()[0]; first.recv(1 << 16); open("asked", "w")
            second = s.accept()[0]; second.recv(1 << 16)
            second.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"); second.recv(1)
            """
        let script = """
            cd \(site.scratch.path)
            # The job's own delivery fails.
            $TIDEMARK backup --conninfo host=/nonexistent
            python3 -c "$LISTENER" & listener=$!
            until [ -e port ]; do sleep 0.05; done
            sed "s|:1/|:$(cat port)/|" tidemark.conf >asking.conf
            env --default-signal=INT,HUP $TIDEMARK-main notify --deliver --config $PWD/asking.conf & process=$!
            until [ -e asked ]; do kill -0 $process || exit 99; sleep 0.05; done
            kill -\(signal) $process
            wait $process; echo "ended with $?"
            pgrep -fa "notify --deliver --config $PWD/asking[.]conf"
            ls state/main/notify/queue/*.json | wc -l
            $TIDEMARK notify --deliver --config $PWD/asking.conf; echo "ended with $?"
            ls state/main/notify/queue/*.json 2>/dev/null | wc -l
            kill $listener
            """
        let finished = try runAsServerUser(
            "/bin/bash", ["-c", script],
            environment: [
                "TIDEMARK_CONFIG": site.configuration, "LISTENER": listener, "TIDEMARK": Executables.tidemark(),
            ], expectSuccess: false)
        let status = signal == "KILL" ? 137 : 130
        #expect(finished.output == "ended with \(status)\n1\nended with 0\n0\n", "\(finished)")
    }
}
