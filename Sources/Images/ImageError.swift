import Files
import Wire

/// What went wrong with a picture or a data folder, on what, and what to do. Lower case, no full stop, one line.
///
/// A picture's error does not name the file: the caller knows the path and decides who may see it (`data check` prints
/// it on the hospital's own terminal; nothing that leaves the hospital may hold it).
package struct ImageError: Error, Equatable, Sendable, CustomStringConvertible {
    package enum Reason: String, Sendable, CaseIterable {
        // One picture.
        case unreadable, notAnImage, empty, truncated, corrupt, unsupported, tooLarge, outOfMemory
        /// The disk, the share or the process's limits, not the picture or the folder: it may be read the next time.
        case storageFailed
        // A data folder.
        case folderMissing, folderUnreadable, noClasses, tooFewClasses, missingClass, unknownClass
        // Splitting and synthesizing.
        case invalidOption, invalidGroups, tooFewPictures, outputExists, cannotWrite
    }

    package let reason: Reason
    package let detail: String

    package init(_ reason: Reason, _ detail: String) {
        self.reason = reason
        self.detail = detail.singleLine
    }

    package var description: String { detail }

    /// Whether the disk or the share withholds what may well be there.
    static func isStorageFault(_ error: FileError) -> Bool { error.isTransient || error.isUnreachable }
}
