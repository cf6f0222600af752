import Backups
import DataDirectory
import Platform
import Repository
import WAL

/// The state that the threads of one verification share.
final class VerifyJob: Sendable {
    struct Findings {
        var problems: [BackupProblem] = []
        var frames = 0
        var bytes: Int64 = 0
        var pages: Int64 = 0
    }
    let backup: BackupDescription
    let pageCheck: PageCheck?
    let knownCorrupt: Set<String>
    /// With the stored bytes of the frames, in their order; nil for one that is still to be read.
    let items: Channel<(pack: Int, item: PackPortion, stored: [[UInt8]?])>
    let findings = Monitor(Findings())
    let progress: VerifyProgressFile

    init(_ backup: BackupDescription, pageCheck: PageCheck?, progress: VerifyProgressFile, jobs: Int) {
        self.backup = backup
        self.pageCheck = pageCheck
        self.progress = progress
        knownCorrupt = Set(backup.corruptPages.map { VerifyJob.key($0.path, $0.block) })
        items = Channel(capacity: jobs)
    }

    static func key(_ path: String, _ block: UInt32) -> String { "\(path)#\(block)" }

    /// No frame has more stored bytes.
    static let largestFrame = Compressor.bound(Manifest.frameSize)

    static func damage(of pack: StoredPack, _ reason: String) -> BackupProblem {
        BackupProblem("pack \"\(pack.key)\" is damaged", detail: reason, trace: .object(pack.key))
    }

    /// Names up to three of the files that lie in a frame.
    func names(_ runs: [FileRun]) -> String {
        let known = runs.compactMap { $0.file?.path }
        let shown = known.prefix(3).map { "\"\($0)\"" }.joined(separator: ", ")
        return known.count > 3 ? "\(shown) and \(known.count - 3) more" : shown
    }
}

/// One thread of a verification: every frame is decompressed, compared, and its pages checked.
final class VerifyWorker {
    private let job: VerifyJob
    private var decompressor: Decompressor
    private let buffer: UnsafeMutableRawBufferPointer
    private let content: UnsafeMutableRawBufferPointer
    private var findings = VerifyJob.Findings()

    init(_ job: VerifyJob) throws {
        self.job = job
        decompressor = try Decompressor()
        buffer = .allocate(byteCount: VerifyJob.largestFrame, alignment: 4096)
        content = .allocate(byteCount: Manifest.frameSize, alignment: 4096)
    }

    deinit {
        buffer.deallocate()
        content.deallocate()
    }

    func run() throws {
        while let (pack, item, stored) = try job.items.receive() {
            findings = .init()
            for ((frame, runs), bytes) in zip(item.frames, stored) { try check(frame, runs, bytes, in: item.pack!) }
            let found = findings
            job.findings.update {
                $0.problems += found.problems
                $0.frames += found.frames
                $0.bytes += found.bytes
                $0.pages += found.pages
            }
            job.progress.finish(pack, isGood: found.problems.isEmpty)
        }
    }

    private func check(_ frame: PackFrame, _ runs: [FileRun], _ stored: [UInt8]?, in pack: StoredPack) throws {
        findings.frames += 1
        do {
            if let stored {
                try stored.withUnsafeBytes { try pack.unpack(frame, $0, with: &decompressor, content: content) }
            } else {
                try pack.extract(frame, with: &decompressor, buffer: buffer, content: content)
            }
        } catch {
            if (error as? any Explained)?.isOwnShortage == true { throw error }
            let reason = (error as? any Explained).map { $0.detail ?? $0.message } ?? "\(error)"
            findings.problems.append(VerifyJob.damage(of: pack, "\(reason) It holds \(job.names(runs))."))
            return
        }
        findings.bytes += Int64(frame.size)
        for run in runs {
            checkDigest(run, frame)
            checkPages(run, frame)
        }
    }

    /// For a small file, which lies in a single frame.
    private func checkDigest(_ part: FileRun, _ frame: PackFrame) {
        let run = part.run
        guard let file = part.file, let digest = file.digest, run.length == file.size,
            run.frameOffset + run.length <= Int64(frame.size)
        else { return }
        let start = Int(run.frameOffset)
        let bytes = UnsafeRawBufferPointer(rebasing: content[start..<(start + Int(run.length))])
        if Digest(of: bytes) != digest {
            findings.problems.append(
                BackupProblem("file \"\(file.path)\" has another content than its digest in the manifest says"))
        }
    }

    private func checkPages(_ part: FileRun, _ frame: PackFrame) {
        let run = part.run
        guard run.frameOffset >= 0, run.length >= 0, run.frameOffset + run.length <= Int64(frame.size) else {
            findings.problems.append(BackupProblem("the manifest has a run outside of its frame"))
            return
        }
        guard let check = job.pageCheck, let file = part.file, let name = PageCheck.covers(file.path) else { return }
        var position: Int64 = 0
        while position + Int64(PageCheck.pageSize) <= run.length {
            let block = check.block(at: run.offset + position, of: name)
            switch PageCheck.verdict(content.baseAddress! + Int(run.frameOffset + position), block: block) {
            case .new: break
            case .good: findings.pages += 1
            case .bad(let lsn):
                // The page was torn while it was copied: the WAL has the whole page.
                let isTorn = lsn >= job.backup.startLSN && lsn <= job.backup.stopLSN
                if !isTorn && !job.knownCorrupt.contains(VerifyJob.key(file.path, block)) {
                    findings.problems.append(
                        BackupProblem("block \(block) in file \"\(file.path)\" has a wrong checksum"))
                }
            }
            position += Int64(PageCheck.pageSize)
        }
    }
}
