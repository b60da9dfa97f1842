import Files
import Wire

/// What one run tells of single files in a folder: of each sort the first ones one by one, and the number of the others.
/// However many files somebody lays down, a person reads a few lines.
struct FileLines {
    /// How many of a sort are told one by one.
    private static let each = 3

    enum Sort: CaseIterable {
        /// Large, and not wanted here or without room.
        case left
        case junk
        case part
        case waiting
        case unreadable
        /// No file.
        case odd
        /// A folder that cannot be used, or one with more names than can be listed.
        case folder
        case endless

        /// Of those that are not told one by one.
        fileprivate func more(_ count: Int, in folder: String) -> String {
            let (what, one, many) =
                switch self {
                case .left: ("more large file", "is left where it is", "are left where they are")
                case .junk:
                    (
                        "more file", "is not a bundle; a copy is in quarantine/",
                        "are not bundles; copies are in quarantine/"
                    )
                case .part: ("more file", "is a part of another one", "are parts of others")
                case .waiting: ("more large file", "has waited as long", "have waited as long")
                case .unreadable: ("more file", "cannot be used", "cannot be used")
                case .odd: ("more entry", "is not a plain file", "are not plain files")
                case .folder: ("more folder", "cannot be used", "cannot be used")
                case .endless:
                    (
                        "more folder", "holds more names than can be listed in one run",
                        "hold more names than can be listed in one run"
                    )
                }
            let plural = self == .odd ? "more entries" : nil
            return "\(counted(count, what, plural)) in \(folder) \(count == 1 ? one : many)"
        }
    }

    private struct Lines {
        var first: [String] = []
        var count = 0

        mutating func add(_ line: String) {
            count += 1
            if first.count < FileLines.each { first.append(line) }
        }
    }

    /// What is told as long as it is so. In which order files have their turn, and which of a crowd have one at all, is another
    /// in each run; the lines shall be the same.
    private struct Passing {
        private var lines: Set<String> = []
        private var reasons: Set<String> = []

        mutating func add(_ error: FileError) {
            if lines.count <= FileLines.each { lines.insert(error.description) }
            reasons.insert(error.reason)
        }

        func told(_ folder: String) -> [String] {
            guard lines.count > FileLines.each else { return lines.sorted() }
            return reasons.sorted().map { "more than \(FileLines.each) files in \(folder) cannot be used now: \($0)" }
        }
    }

    private var new: [Sort: Lines] = [:]
    private var passing = Passing()
    private var known: [Sort: Lines] = [:]
    private var zeros = ZeroCount()
    /// Whether there is more than can be noted.
    private(set) var isOverflowing = false

    /// Tells something of a file, once as long as the file is there.
    mutating func tell(_ line: String, _ sort: Sort, of name: String, _ settling: inout Settling) {
        switch settling.report(name) {
        case .isNew: new[sort, default: Lines()].add(line)
        case .isKnown: known[sort, default: Lines()].add(line)
        case .isOneTooMany: isOverflowing = true
        }
    }

    /// Tells something that will not come again.
    mutating func tell(_ line: String, _ sort: Sort) { new[sort, default: Lines()].add(line) }

    /// What cannot be read now and may be soon is told in each run, and what only a person can change once.
    mutating func tell(
        _ error: FileError, _ sort: Sort = .unreadable, of name: String, _ settling: inout Settling
    ) {
        if error.isTransient {
            passing.add(error)
        } else {
            tell(error.description, sort, of: name, &settling)
        }
    }

    mutating func tellOfNoOther() { isOverflowing = true }

    /// - Parameter hasSettled: whether it may not be growing any more.
    mutating func noteZeros(of name: String, hasSettled: Bool, _ settling: inout Settling) {
        zeros.note(isNew: hasSettled ? settling.reportZeros(name) : nil)
    }

    func new(in folder: String) -> [String] { lines(new, folder) + zeros.new(in: folder) }

    /// Of one sort alone.
    func new(_ sort: Sort, in folder: String) -> [String] { lines(new.filter { $0.key == sort }, folder) }

    func passing(in folder: String) -> [String] { passing.told(folder) }

    /// What is so still.
    func known(in folder: String) -> [String] { lines(known, folder) + zeros.known(in: folder) }

    static func overflow(in folder: String) -> String {
        "so many files in \(folder) are no bundles that of others nobody is told until those are removed"
    }

    private func lines(_ lines: [Sort: Lines], _ folder: String) -> [String] {
        Sort.allCases.flatMap { sort -> [String] in
            guard let told = lines[sort] else { return [] }
            let more = told.count - told.first.count
            return told.first + (more > 0 ? [sort.more(more, in: folder)] : [])
        }
    }
}

/// Files of a folder that begin with zeros: however many there are, a person is told in one line.
private struct ZeroCount {
    private var (newOnes, knownOnes) = (0, 0)

    /// - Parameter isNew: nil where it may still be growing.
    mutating func note(isNew: Bool?) {
        switch isNew {
        case true?: newOnes += 1
        case false?: knownOnes += 1
        case nil: break
        }
    }

    func new(in folder: String) -> [String] { line(newOnes, folder) }
    func known(in folder: String) -> [String] { line(knownOnes, folder) }

    private func line(_ count: Int, _ folder: String) -> [String] {
        guard count > 0 else { return [] }
        let files = counted(count, "file in \(folder) begins", "files in \(folder) begin")
        return ["\(files) with zeros only, so far, and \(count == 1 ? "is" : "are") left there"]
    }
}
