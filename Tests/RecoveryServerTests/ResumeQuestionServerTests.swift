import Platform
import Support
import Testing

@Suite struct ResumeQuestionServerTests {
    @Test func `a question of --resume blocks nobody, and after the answer the state is checked again`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 10) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try site.cluster.stop()
        let failed = try site.tidemark(
            ["recover", "--target", "latest", "--yes"],
            environment: ["TIDEMARK_FAULT": "rename:/tidemark-cluster-=EIO"])
        try #require(failed.ending == .exited(1) && failed.errors.contains("fault: "), "\(failed)")
        let scratch = try Scratch()
        let script = """
            mkfifo $D/in; script -qec "$T recover --resume" /dev/null <$D/in >$D/out 2>&1 & asked=$!
            exec 3>$D/in
            until grep -q 'to go ahead' $D/out; do kill -0 $asked || exit 9; sleep 0.1; done
            $T recover --resume --yes 2>&1; echo "meanwhile: $?"
            echo main >&3; wait $asked; echo "asked: $?"; cat $D/out
            """
        let told = try runAsServerUser(
            "/bin/bash", ["-c", script],
            environment: [
                "TIDEMARK_CONFIG": site.configuration, "D": scratch.path, "T": Executables.tidemark(),
            ]
        ).output
        #expect(told.contains("meanwhile: 0"), "\(told)")
        #expect(told.contains("asked: 1"), "\(told)")
        #expect(told.contains("has changed since it was examined"), "\(told)")
        // Set aside once, by the recovery that was not asked.
        let parent = try Files.list(Files.parent(site.cluster.data))
        #expect(parent.filter { $0.contains(".before-") }.count == 1, "\(parent)")
        try site.cluster.start()
        #expect(try site.cluster.psql("select count(*) from t") == "10")
    }
}
