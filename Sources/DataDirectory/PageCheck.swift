import CChecksum
import Platform
public import WAL

/// Verifies the checksums of data pages (src/include/storage/bufpage.h, checksum_impl.h).
public struct PageCheck: Sendable {
    public static let pageSize = 8192
    /// Blocks in a full file of a relation.
    public let blocksPerFile: UInt32

    public init(blocksPerFile: UInt32) { self.blocksPerFile = blocksPerFile }

    public enum Verdict: Equatable {
        case good
        /// Never initialised; has no checksum.
        case new
        /// The checksum is wrong; the page's header has this LSN.
        case bad(LSN)
    }

    /// - Parameter block: counts from the relation fork's start, over all its files.
    public static func verdict(_ page: UnsafeRawPointer, block: UInt32) -> Verdict {
        // pd_upper is 0 only in a page that was never initialised; such a page is all zeros (PageIsVerified).
        if page.loadUnaligned(fromByteOffset: 14, as: UInt16.self) == 0 {
            let words = UnsafeRawBufferPointer(start: page, count: pageSize).assumingMemoryBound(to: UInt64.self)
            if words.allSatisfy({ $0 == 0 }) { return .new }
        } else if tidemark_page_checksum(page, block) == page.loadUnaligned(fromByteOffset: 8, as: UInt16.self) {
            return .good
        }
        let high = UInt64(page.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
        let low = UInt64(page.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        return .bad(LSN(high << 32 | low))
    }

    /// The number of a page in its relation's fork.
    public func block(at offset: Int64, of name: RelationFileName) -> UInt32 {
        name.segment &* blocksPerFile &+ UInt32(offset / Int64(PageCheck.pageSize))
    }

    /// Whether pages of this file carry checksums.
    ///
    /// - Parameter path: relative to the data directory.
    public static func covers(_ path: String) -> RelationFileName? {
        guard path.hasPrefix("base/") || path.hasPrefix("global/") || path.hasPrefix("pg_tblspc/") else { return nil }
        return RelationFileName(Files.name(path))
    }
}
