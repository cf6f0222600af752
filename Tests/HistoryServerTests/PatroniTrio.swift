import FoundationEssentials
import Glibc
import Platform
import Support
import WAL

/// Three servers under Patroni and etcd, on 127.0.0.1, with the settings in docs/archiving.md. Each node has its own
/// tidemark.conf, as on separate machines; all of them share one repository.
final class PatroniTrio {
    final class Node {
        let name: String
        let port: Int
        let rest: Int
        var patroni: BackgroundProcess?
        let directory: String
        var data: String { "\(directory)/\(name)/data" }
        var configuration: String { "\(directory)/\(name).tidemark.conf" }

        init(_ name: String, in directory: String) throws {
            self.name = name
            self.directory = directory
            port = try freePort()
            rest = try freePort()
        }

        var postmaster: pid_t? {
            (try? Files.readText(data + "/postmaster.pid"))?.split(separator: "\n").first.flatMap { pid_t($0) }
        }

        /// The server's processes, the postmaster first.
        var processes: [pid_t] {
            let all = (try? Files.list("/proc"))?.compactMap { pid_t($0) } ?? []
            return all.filter { (try? Files.readLink("/proc/\($0)/cwd")) == data }.sorted()
        }

        func psql(_ sql: String...) throws -> String {
            try runAsServerUser(
                TestServer.v15.bin + "/psql",
                [
                    "-h", directory, "-p", "\(port)", "-U", "postgres", "-d", "postgres", "-XAtq", "-v",
                    "ON_ERROR_STOP=1",
                ] + sql.flatMap { ["-c", $0] }
            ).output.split(separator: "\n").joined(separator: "\n")
        }

        @discardableResult
        func tidemark(_ arguments: [String], expectSuccess: Bool = false) throws -> Finished {
            try Support.tidemark(
                arguments, environment: ["TIDEMARK_CONFIG": configuration], expectSuccess: expectSuccess)
        }

        func waiting() throws -> [String] {
            try Files.list(data + "/pg_wal/archive_status").filter { $0.hasSuffix(".ready") }.sorted()
        }
    }

    let scratch: Scratch
    let nodes: [Node]
    private let etcd: BackgroundProcess
    private let etcdPort: Int
    private let path: String
    private var steps: [String] = []
    var mending = Mending()
    var directory: String { scratch.path }

    /// Starts etcd and the three nodes, and waits until one leads and two follow.
    init() throws {
        let scratch = try Scratch()
        self.scratch = scratch
        // Like /tmp: no user can replace another's files in it.
        chmod(scratch.path, 0o1777)
        let (client, peer) = (try freePort(), try freePort())
        etcdPort = client
        let url = "http://127.0.0.1:"
        etcd = try BackgroundProcess(
            "/usr/bin/etcd --name trio --data-dir \(scratch.path)/etcd --listen-client-urls \(url)\(client) "
                + "--advertise-client-urls \(url)\(client) --listen-peer-urls \(url)\(peer) "
                + "--initial-advertise-peer-urls \(url)\(peer) --initial-cluster trio=\(url)\(peer) --log-level warn",
            name: "etcd", in: scratch.path)
        nodes = try ["a", "b", "c"].map { try Node($0, in: scratch.path) }
        path = try Executables.directory.get() + ":\(TestServer.v15.bin):/usr/bin:/bin"
        let documented = try Self.documentedSettings()
        for node in nodes { try configure(node, documented) }
        try start(nodes[0])
        try wait(for: "the first leader") { try cluster().contains { $0.role == "leader" && $0.state == "running" } }
        try nodes[0].tidemark(["init"], expectSuccess: true)
        for node in nodes.dropFirst() { try start(node) }
        try awaitHealth()
    }

    deinit {
        for node in nodes {
            node.patroni?.end()
            let processes = node.processes
            for process in processes { kill(process, SIGCONT) }
            if let postmaster = node.postmaster, processes.contains(postmaster) { kill(postmaster, SIGQUIT) }
            for _ in 0..<4800 {
                guard !node.processes.isEmpty else { break }
                Clock.sleep(milliseconds: 25)
            }
            for process in node.processes { kill(process, SIGKILL) }
        }
        etcd.end()
    }

    /// The settings in docs/archiving.md for Patroni.
    static func documentedSettings() throws -> [String] {
        let root = Files.parent(Files.parent(Files.parent(#filePath)))
        let page = try Files.readText(root + "/docs/archiving.md")
        guard let block = page.split(separator: "```yaml\n").dropFirst().first?.split(separator: "```").first else {
            throw Problem("docs/archiving.md has no settings for Patroni")
        }
        return block.split(separator: "\n").map(String.init)
    }

    /// Whether a leader whose server has crashed is replaced, and not started again first. In the soak it is started,
    /// and nodes that die are what causes failovers.
    let failsOverAtOnce = getenv("TIDEMARK_SOAK") == nil

    private func configure(_ node: Node, _ documented: [String]) throws {
        // Settings that the page leaves to the user. The soak waits for failovers, so its periods are shorter than in
        // any installation; elsewhere no failover is wanted because a machine stalls.
        let (ttl, retry) = failsOverAtOnce ? (90, 40) : (6, 2)
        let text = """
            scope: main
            name: \(node.name)
            restapi:
              listen: 127.0.0.1:\(node.rest)
              connect_address: 127.0.0.1:\(node.rest)
            etcd3:
              host: 127.0.0.1:\(etcdPort)
            bootstrap:
              dcs:
                ttl: \(ttl)
                loop_wait: 1
                retry_timeout: \(retry)
                primary_start_timeout: \(failsOverAtOnce ? 0 : 300)
                synchronous_mode: true
            \(documented.map { "    " + $0 }.joined(separator: "\n"))
                    wal_keep_size: 16MB
              initdb:
              - encoding: UTF8
              - locale: C.UTF-8
              - wal-segsize: '1'
              - data-checksums
            postgresql:
              listen: 127.0.0.1:\(node.port)
              connect_address: 127.0.0.1:\(node.port)
              data_dir: \(node.data)
              bin_dir: \(TestServer.v15.bin)
              pgpass: \(directory)/\(node.name).pgpass
              use_unix_socket: true
              basebackup:
              - checkpoint: fast
              authentication:
                superuser: {username: postgres}
                replication: {username: postgres}
                rewind: {username: postgres}
              pg_hba:
              - local all all trust
              - host all all 127.0.0.1/32 trust
              - host replication all 127.0.0.1/32 trust
              parameters:
                unix_socket_directories: \(directory)
                shared_buffers: 16MB
                log_line_prefix: '%m [%p] '

            """
        try createDurably("\(directory)/\(node.name).yml", bytes: Array(text.utf8), mode: 0o644)
        let configuration = """
            repository = '\(directory)/repository'
            state_directory = '\(directory)/\(node.name).state'
            timezone = 'UTC'
            [cluster main]
            data_directory = '\(node.data)'
            conninfo = 'host=\(directory) port=\(node.port) dbname=postgres user=postgres'
            bin_directory = '\(TestServer.v15.bin)'

            """
        try createDurably(node.configuration, bytes: Array(configuration.utf8), mode: 0o644)
        try runAsServerUser("/bin/mkdir", ["-p", "\(directory)/\(node.name)"])
    }

    func start(_ node: Node) throws {
        node.patroni = try BackgroundProcess(
            "/usr/bin/patroni \(directory)/\(node.name).yml", name: "patroni-\(node.name)", in: directory,
            environment: ["PATH": path, "TIDEMARK_CONFIG": node.configuration, "LC_ALL": "C.UTF-8"])
    }

    // MARK: - What Patroni says

    struct Member: Decodable {
        let name: String
        let role: String
        let state: String
        let timeline: Int?
    }
    private struct Members: Decodable { let members: [Member] }

    /// The members according to any node; empty while no Patroni answers.
    func cluster() throws -> [Member] {
        for node in nodes {
            let said = try run(
                "/usr/bin/curl", ["-s", "-m", "20", "http://127.0.0.1:\(node.rest)/cluster"],
                environment: ["PATH": "/usr/bin:/bin"])
            if let members = try? JSONDecoder().decode(Members.self, from: Data(said.output.utf8)) {
                return members.members
            }
        }
        return []
    }

    func leader() throws -> Node? {
        guard let name = try cluster().first(where: { $0.role == "leader" && $0.state == "running" })?.name else {
            return nil
        }
        return nodes.first { $0.name == name }
    }

    /// Waits for a node that leads.
    func awaitLeader() throws -> Node {
        var found: Node?
        try wait(for: "a leader") {
            found = try leader()
            return found != nil
        }
        guard let found else { throw Problem("there is no leader") }
        return found
    }

    /// Waits until one node leads, two stream from it on its timeline, and one of those is synchronous.
    func awaitHealth() throws {
        try wait(for: "one leader and two standbys") { try isHealthy() }
    }

    /// According to Patroni.
    func isHealthy() throws -> Bool {
        let members = try cluster()
        guard members.count == 3, let leader = members.first(where: { $0.role == "leader" }) else { return false }
        return leader.state == "running" && members.contains { $0.role == "sync_standby" }
            && members.allSatisfy { ["running", "streaming"].contains($0.state) && $0.timeline == leader.timeline }
    }

    /// Switches over to the synchronous standby. Patroni stops waiting for the result after twenty seconds, and refuses
    /// while a node is about to start; so the request is repeated until another node leads.
    func switchOver(from leader: Node) throws {
        try wait(for: "a switchover from \(leader.name)") {
            guard let now = try self.leader() else { return false }
            guard now === leader else { return true }
            guard let candidate = try cluster().first(where: { $0.role == "sync_standby" })?.name else { return false }
            let said = try run(
                "/usr/bin/curl",
                [
                    "-s", "-m", "120", "-X", "POST", "http://127.0.0.1:\(leader.rest)/switchover", "-d",
                    "{\"leader\": \"\(leader.name)\", \"candidate\": \"\(candidate)\"}",
                ])
            step("switchover to \(candidate): \(said.output)")
            return said.output.contains("uccessfully switched over")
        }
    }

    /// How often Patroni ran pg_rewind, according to its own log.
    var rewinds: Int {
        nodes.map { node in
            let log = (try? Files.readText("\(directory)/patroni-\(node.name).out")) ?? ""
            return log.split(separator: "\n").count { $0.contains("running pg_rewind from") }
        }.reduce(0, +)
    }

    // MARK: - Accounts

    func step(_ words: String) {
        steps.append("\(Moment(microseconds: Clock.now)) \(words)")
        if getenv("TIDEMARK_TEST_STEPS") != nil {
            print(steps.last!)
            fflush(nil)
        }
    }

    func wait(seconds: Int = 600, for what: String, _ condition: () throws -> Bool) throws {
        let end = Clock.monotonic + UInt64(seconds) * 1_000_000_000
        while Clock.monotonic < end {
            if try condition() { return }
            Clock.sleep(milliseconds: 100)
        }
        throw Problem("waited \(seconds) s in vain for \(what)", detail: account())
    }

    func account() -> String {
        var text = "\(directory)\n== steps\n" + steps.joined(separator: "\n")
        text += "\n== members \((try? cluster()) ?? [])"
        for node in nodes {
            text += "\n== node \(node.name), waiting: \((try? node.waiting()) ?? [])\n"
            text += ((try? Files.list(node.data + "/pg_wal")) ?? []).sorted().joined(separator: " ")
            let log = (try? Files.readText("\(directory)/patroni-\(node.name).out")) ?? ""
            text += "\n" + log.split(separator: "\n").suffix(70).joined(separator: "\n")
        }
        let archive = try? run("/usr/bin/find", ["\(directory)/repository", "-path", "*/wal/*", "-name", "*.zst"])
        let names = archive?.output.split(separator: "\n").map { Files.name(String($0)) } ?? []
        text += "\n== archive\n" + names.sorted().joined(separator: " ")
        return text + "\n== etcd\n" + ((try? Files.readText(etcd.log)) ?? "")
    }
}
