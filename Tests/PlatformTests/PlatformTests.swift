import Glibc
import Platform
import Support
import Testing

struct DurableFileTests {
    @Test func `a durable file is complete, and a second one of its name is refused`() throws {
        let scratch = try Scratch()
        let path = scratch.file("a/b/object")
        try createDurably(path, bytes: [1, 2, 3])
        #expect(try Files.read(path) == [1, 2, 3])
        #expect(throws: AlreadyPresent(path: path)) { try createDurably(path, bytes: [4]) }
        #expect(try Files.read(path) == [1, 2, 3])
        #expect(try Files.list(scratch.file("a/b")) == ["object"])
    }
}

struct WriteStreamTests {
    @Test func `a long file is written whole, and only its end stays in the page cache`() throws {
        let scratch = try Scratch(in: TestPlace.onDisk)
        let path = scratch.file("pack")
        let size = 33 << 20
        let piece = (0..<300_007).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 8) }
        try createDurably(path) { file, temporary in
            var stream = WriteStream()
            for start in stride(from: 0, to: size, by: piece.count) {
                try piece[..<min(piece.count, size - start)].withUnsafeBytes {
                    try stream.write($0, to: file, path: temporary)
                }
            }
        }
        let file = try Descriptor(open: path, O_RDONLY)
        // A file system in memory keeps its files in the page cache.
        let isInMemory = try run("/usr/bin/stat", ["-f", "-c", "%T", path]).output == "tmpfs\n"
        let cached = file.cachedBytes(at: 0, count: 15 << 20) ?? .max
        #expect(isInMemory || cached < 1 << 20, "\(cached)")
        var found = [UInt8](repeating: 0, count: size + 1)
        #expect(try found.withUnsafeMutableBytes { try file.read(into: $0, at: 0, path: path) } == size)
        for start in stride(from: 0, to: size, by: piece.count) {
            let length = min(piece.count, size - start)
            #expect(found[start..<(start + length)] == piece[..<length])
        }
    }
}

struct SubprocessTests {
    @Test func `a file of /proc is read although it has no size`() throws {
        #expect(try Files.readText("/proc/sys/kernel/random/boot_id", limit: 64).utf8.count == 37)
    }

    @Test func `a program that is run gets its alarm, and dies of a broken pipe`() throws {
        // The test runner's threads have all signals blocked, as Dispatch's do.
        let alarmed = try run("/usr/bin/timeout", ["300", "/usr/bin/perl", "-e", "alarm 1; sleep 200; print 'never'"])
        #expect(alarmed.output == "")
        #expect(alarmed.ending == .signalled(SIGALRM))
        let piped = try run("/bin/sh", ["-c", "/usr/bin/yes | /usr/bin/head -1"])
        #expect(piped.output == "y\n")
        #expect(piped.errors == "")
    }

    @Test func `a program that writes all the time is ended at its deadline`() throws {
        // Without the deadline, the pipe's end or its own alarm would end it.
        let finished = try run(
            "/usr/bin/perl", ["-e", "alarm 20; print \"x\\n\" while 1"], until: Clock.monotonic + 200_000_000)
        #expect(finished.ending == .signalled(SIGKILL))
    }
}

struct FileStatusTests {
    @Test(arguments: [Int.min, -9_223_372_036_855, 0, 9_223_372_036_855, Int.max])
    func `a file may have any time`(_ seconds: Int) throws {
        // This file system stores any time; others clamp it.
        let path = "/dev/shm/tidemark-test-\(getpid())-\(seconds)"
        try createDurably(path, bytes: [])
        defer { try? Files.remove(path) }
        var times = [timespec(tv_sec: seconds, tv_nsec: 0), timespec(tv_sec: seconds, tv_nsec: 0)]
        try #require(utimensat(AT_FDCWD, path, &times, 0) == 0)
        let status = try FileStatus(of: path)
        #expect(abs(status.modified) <= 1 << 62 && (status.modified < Clock.now) == (seconds < 1 << 31))
    }
}
